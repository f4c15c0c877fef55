"""rag retry, rag confirm-deletions: an operator's word on what waits for one."""

from __future__ import annotations

from typing import Annotated

import typer

from rag.cli.terminal import AsJson, escape, plural, say, write_json
from rag.errors import NotFoundError

Name = Annotated[str, typer.Argument(metavar="NS/NAME", help="The collection's full name.")]


def retry(
    name: Name,
    document: Annotated[
        str | None, typer.Option(metavar="URI", help="Only this document; without it, all.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make failed documents, and those whose pictures could not be described, due again; the next
    run (or `rag ingest`) tries them."""
    from rag.cli.backend import open_backend
    from rag.model import CollectionName
    from rag.store import collections, ledger

    full_name = CollectionName.parse(name)
    with open_backend() as backend:
        found = collections.find_collection(backend.conn, full_name)
        due = ledger.retry(backend.conn, found.id, document)
    if document is not None and due == 0:
        raise NotFoundError(
            f"{document} has no failure in {name}: `rag status {name}` lists those that have.",
            code="no_such_failure",
        )
    if as_json:
        write_json({"collection": name, "due": due})
    else:
        say(f"{plural(due, 'failure')} due again: `rag ingest --collection {name}` tries now.")


def confirm_deletions(name: Name, as_json: AsJson = False) -> None:
    """Let the deletions through that the breaker holds back; the next run carries them out."""
    from rag.cli.backend import open_backend
    from rag.model import CollectionName
    from rag.store import collections, manifest

    full_name = CollectionName.parse(name)
    with open_backend() as backend:
        found = collections.find_collection(backend.conn, full_name)
        held = manifest.confirm_deletions(backend.conn, found.id)
    if as_json:
        sources = [{"uri": uri, "documents": documents} for uri, documents in held]
        write_json({"collection": name, "confirmed": sources})
    elif not held:
        say(f"{name} holds back no deletions.")
    for uri, documents in [] if as_json else held:
        say(f"Confirmed {plural(documents, 'deletion')} of {escape(uri)}.")
