"""rag ingest: bring a collection up to date now, through the same assets as the sensor's runs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.cli.boundary import Exit
from rag.cli.terminal import AsJson, escape, note, plural, say, write_json

if TYPE_CHECKING:
    from rag.cli.backend import Backend
    from rag.model import CollectionName
    from rag.store.collections import Collection
    from rag.store.database import Row

_DOCUMENT_COUNTS = ("new", "changed", "renamed", "unchanged", "deleted")


def ingest(
    collection: Annotated[
        str, typer.Option("--collection", "-c", metavar="NS/NAME", help="Where to.")
    ],
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[PATH|s3://...]",
            help="A folder, a file or a prefix to bind to the collection; without it, the sources "
            "it has.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring a collection up to date with its sources now. A collection or source that does not
    exist yet is made. Exits 3 when documents of the collection stand failed at the end."""
    from rag.cli.backend import open_backend, served
    from rag.cli.binding import bind, sources_in_question
    from rag.model import CollectionName

    started = time.monotonic()
    name = CollectionName.parse(collection)
    with open_backend() as backend:
        uris = sources_in_question(backend, name, source)
        with served(backend, uris) as complete:
            found = bind(complete, name, uris)
            run_ids = _run(complete, name, is_silent=as_json)
        result = summed(_stages(backend, run_ids))
        result["seconds"] = round(time.monotonic() - started, 1)
        failures = _failures(backend, found)
    if as_json:
        write_json(result)
    else:
        _show(name, result, failures)
    failed = result["documents"]["failed"]
    raise typer.Exit(Exit.DOCUMENTS_FAILED if failed else Exit.OK)


def _run(backend: Backend, name: CollectionName, *, is_silent: bool) -> list[str]:
    """Run the job as a child; returns the ids of its runs."""
    from rag.cli.child import ingest_events
    from rag.cli.stages import followed_stages

    run_ids: list[str] = []
    with followed_stages(is_silent=is_silent) as stages:
        for event in ingest_events(backend.settings, backend.endpoints, name):
            kind = event["event"]
            if kind == "run":
                run_ids.append(str(event["run_id"]))
            elif kind == "waiting" and not is_silent:
                note(f"Another run of {event['partition']} goes first; waiting for it to end.")
            elif kind == "progress":
                stages.show(str(event["stage"]), int(event["done"]), int(event["total"]))
            elif kind == "page":
                stages.read(str(event["name"]), int(event["page"]), int(event["pages"]))
    return run_ids


def _stages(backend: Backend, run_ids: Sequence[str]) -> list[Row]:
    from rag.store import ledger

    return [row for run_id in run_ids for row in ledger.stages_of_run(backend.conn, run_id)]


def _failures(backend: Backend, found: Collection) -> list[Row]:
    from rag.store.standing import failures

    return failures(backend.conn, found.id, found.shards)


def summed(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the stages of some runs did together, in the shape of `ingest --json`."""

    def total(stage: str, name: str) -> int:
        counts = [row["counts"] for row in rows if row["stage"] == stage]
        return sum(int(each.get(name, 0)) for each in counts)

    documents = {name: total("raw_documents", name) for name in _DOCUMENT_COUNTS}
    failed = total("raw_documents", "failed") + total("parsed_documents", "failed")
    return {
        "documents": {**documents, "failed": failed},
        "parsed": total("parsed_documents", "parsed"),
        "chunks": total("chunks", "chunks"),
        "embedded": total("embeddings", "embedded"),
    }


def _show(name: CollectionName, result: Mapping[str, Any], failures: list[Row]) -> None:
    from rag.cli.standing_view import show_failures

    documents = result["documents"]
    counts = ", ".join(f"{count:,} {state}" for state, count in documents.items() if count)
    say(f"[bold]{name}[/bold]: {counts or 'no documents'}")
    say(f"  {result['parsed']:,} parsed, {result['chunks']:,} chunks cut, "
        f"{result['embedded']:,} embedded in {result['seconds']} s")  # fmt: skip
    if failures:
        show_failures(failures)
        say(f"{plural(len(failures), 'failure')}: everything else is searchable. A new version of "
            f"the file, or `rag retry {name}`, tries again.")  # fmt: skip
    say(f'Ask: `rag search {escape(name)} "..."`')
