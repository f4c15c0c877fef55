"""rag import-csv, rag export-csv: documents as rows of a `|`-separated file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rag.cli.terminal import AsJson, escape, plural, say, write_json


def import_csv(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="Rows title|source|text, quoted by double quotes."),
    ],
    collection: Annotated[
        str, typer.Option("--collection", "-c", metavar="NS/NAME", help="Where to.")
    ],
    as_json: AsJson = False,
) -> None:
    """Bind a CSV file to a collection and bring the collection up to date: each row is a document.
    The file stays the source: edit it and run `rag ingest`."""
    from rag.cli.ingest import ingest
    from rag.sources.csv_file import uri_of_csv

    ingest(collection, uri_of_csv(file.expanduser().absolute()), as_json)


def export_csv(
    name: Annotated[str, typer.Argument(metavar="NS/NAME", help="The collection's full name.")],
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Where to; an older file is replaced.")
    ],
    as_json: AsJson = False,
) -> None:
    """Write the text of a collection's searchable documents as rows title|source|text, in the
    format that import-csv reads."""
    from rag.cli.backend import open_backend
    from rag.model import CollectionName
    from rag.sources.csv_file import write_csv
    from rag.store import collections
    from rag.store.export import served_texts

    full_name = CollectionName.parse(name)
    with open_backend() as backend:
        found = collections.find_collection(backend.conn, full_name)
        documents = write_csv(file, served_texts(backend.conn, found))
    if as_json:
        write_json({"collection": name, "file": str(file), "documents": documents})
    else:
        say(f"Wrote {plural(documents, 'document')} of [bold]{name}[/bold] to {escape(file)}.")
