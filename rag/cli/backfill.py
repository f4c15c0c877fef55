"""rag backfill: let sources that are bounded in time reach further back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from rag.cli.terminal import AsJson, escape, say, write_json
from rag.model import MOST_DAYS

if TYPE_CHECKING:
    from rag.ingest.backfill import Reach


def backfill(
    name: Annotated[str, typer.Argument(metavar="NS/NAME", help="The collection's full name.")],
    days: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MOST_DAYS,
            metavar="N",
            help="How many days back; without it, the setting backfill_days.",
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--source", "-s", metavar="URI", help="Only this source; without it, all."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Move the bounds (--days, --since) of a collection's sources back, never forward, and ask for
    a run that takes what came into reach. Nothing is deleted, and nothing embedded twice."""
    from rag.cli.backend import open_backend
    from rag.ingest import backfill as use_case
    from rag.model import CollectionName
    from rag.sources.open import normalise_uri
    from rag.sources.selection import days_ago
    from rag.store import collections

    full_name, uri = CollectionName.parse(name), source and normalise_uri(source)
    with open_backend() as backend:
        since = days_ago(days or backend.settings.backfill_days, datetime.now(UTC))
        found = collections.find_collection(backend.conn, full_name)
        reached = use_case.backfill(backend.conn, found, since, uri)
    if as_json:
        write_json({"collection": name, "sources": [each._asdict() for each in reached]})
        return
    for each in reached:
        say(f"{escape(each.uri)} {_words(each)}.")
    if reached:
        say(f"The sensor of `rag up` asks for the run, or `rag ingest --collection {name}` does.")
    else:
        say(f"{name} has no source: `rag ingest URI --collection {name}` binds one.")


def _words(reach: Reach) -> str:
    if reach.since is None:
        return "has no bound: everything in it is taken already"
    if reach.is_moved:
        return f"now reaches back to {reach.since}"
    return f"reaches back to {reach.since} already"
