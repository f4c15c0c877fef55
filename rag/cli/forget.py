"""rag forget, rag lineage: a document's last trace, and a chunk's first cause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from rag.cli.terminal import AsJson, cell, escape, say, write_json
from rag.errors import NotFoundError

Name = Annotated[str, typer.Argument(metavar="NS/NAME", help="The collection's full name.")]
Document = Annotated[
    str, typer.Argument(metavar="URI", help="The document's address, as `rag status` shows it.")
]


def forget(
    name: Name,
    uri: Document,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Erase a document everywhere and keep it out for good: search, text, chunks, vectors,
    versions, failures, answers that may quote it, the names of its uploads, and its bytes in this
    machine's spool. Prints the receipt, which proves by query that nothing is left. The object
    itself stays in its source."""
    from rag.cli.backend import open_backend
    from rag.ingest.spool import Spool
    from rag.model import CollectionName
    from rag.store import collections, retention

    full_name = CollectionName.parse(name)
    with open_backend() as backend:
        found = collections.find_collection(backend.conn, full_name)
        retention.find_document(backend.conn, found, uri)
        if not yes:
            typer.confirm(f"Erase {uri} from {name}? It can not be undone.", abort=True, err=True)
        spool = Spool(backend.settings.home / "spool")
        receipt = retention.erase(backend.conn, found, uri, spool.discard)
    if as_json:
        write_json({"collection": name, "document": uri, **receipt})
    else:
        _show_receipt(name, uri, receipt)


def _show_receipt(name: str, uri: str, receipt: Mapping[str, Any]) -> None:
    say(f"Erased {escape(uri)} from [bold]{name}[/bold].")
    removed = {what: count for what, count in receipt["removed"].items() if count}
    say(f"  removed: {_counts(removed)}")
    kept = receipt["contents_kept_for_other_documents"]
    if kept:
        say(f"  kept: {kept} contents that other documents of the namespace hold, too")
    say(f"  left, by query: {_counts(receipt['left'])}")
    say("The object stays in its source and is never taken in again.")


def _counts(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {what.replace('_', ' ')}" for what, count in numbers.items())


def lineage(
    name: Name,
    uri: Document,
    chunk: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Only this chunk, counted from 0.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Where served chunks come from: the document's version and object, the fingerprints of parser,
    chunker and model, and the Dagster runs that made each step."""
    from rag.cli.backend import open_backend
    from rag.model import CollectionName
    from rag.store import collections, retention

    full_name = CollectionName.parse(name)
    with open_backend() as backend:
        found = collections.find_collection(backend.conn, full_name)
        retention.find_document(backend.conn, found, uri)
        rows = retention.lineage(backend.conn, found, uri, chunk)
        dagster_url = backend.endpoints.dagster_url
    if not rows:
        which = "no chunk" if chunk is None else f"no chunk {chunk}"
        raise NotFoundError(
            f"{uri} has {which} that is served: `rag status {name}` shows how it stands.",
            code="chunk_not_found",
        )
    if as_json:
        write_json({"collection": name, "document": uri, "chunks": rows})
    else:
        _show_lineage(rows, dagster_url)


def _show_lineage(rows: Sequence[Mapping[str, Any]], dagster_url: str) -> None:
    """What all chunks share once per generation, then a line per chunk."""
    shown: set[int] = set()
    for row in rows:
        if row["generation_id"] not in shown:
            shown.add(row["generation_id"])
            _show_chain(row, dagster_url)
        text = " ".join(row["text"].split())
        say(f"  chunk {row['ordinal']}: {escape(text[:100])}{'…' if len(text) > 100 else ''}")


def _show_chain(row: Mapping[str, Any], dagster_url: str) -> None:
    say(f"[bold]{escape(row['uri'])}[/bold], generation {row['generation_id']} "
        f"({'live' if row['is_live'] else 'not live'})")  # fmt: skip
    say(f"  version {row['version_id']}: sha256 {row['content_hash']}")
    say(f"  object: etag {cell(row['etag'])}, version id {cell(row['object_version'])}, "
        f"modified {cell(row['modified_at'])}")  # fmt: skip
    for kind in ("parser", "chunker", "model"):
        say(f"  {kind}: {row[kind]}")
    for step in ("registered", "parsed", "cut", "published"):
        run = row[f"{step}_by_run"]
        link = f" {dagster_url}/runs/{run}" if dagster_url and run else ""
        say(f"  {step} by run {cell(run)}{link}")
