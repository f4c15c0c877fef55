"""rag plan: what a look at the sources would change, without changing anything."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING, Annotated

import typer

from rag.cli.terminal import AsJson, cell, escape, plural, say, table, write_json

if TYPE_CHECKING:
    from rag.cli.backend import Backend
    from rag.ingest.reconcile import Plan
    from rag.store.collections import Collection
    from rag.store.manifest import Difference


def plan(
    name: Annotated[str, typer.Argument(metavar="NS/NAME", help="The collection to look at.")],
    limit: Annotated[int, typer.Option(min=0, help="How many objects to name per source.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the sources, compare with the manifest, and say what a run would do. Nothing is done."""
    from rag.cli.backend import open_backend, served
    from rag.model import CollectionName
    from rag.store import collections

    full_name = CollectionName.parse(name)
    with open_backend() as backend:
        found = collections.find_collection(backend.conn, full_name)
        uris = [row["uri"] for row in collections.list_sources(backend.conn, found)]
        with served(backend, uris) as complete:
            plans = source_plans(complete, found)
        if as_json:
            sources = [{"source": uri, **as_object(work, limit)} for uri, work in plans]
            write_json({"collection": name, "sources": sources})
            return
        for uri, work in plans:
            _show(uri, work, limit)
    if not plans:
        say(f"{name} has no source: `rag ingest URI --collection {name}` binds one.")


def source_plans(backend: Backend, found: Collection) -> list[tuple[str, Plan]]:
    """The plan of each source of the collection, over all its shards."""
    from rag.ingest.reconcile import look
    from rag.store import collections
    from rag.store.manifest import Scope

    plans = []
    for row in collections.list_sources(backend.conn, found):
        scope = Scope(found.id, row["id"], tuple(range(found.shards)))
        source = backend.open_source(row["uri"], **row["options"])
        plans.append((row["uri"], look(backend.conn, scope, source)))
    return plans


def as_object(work: Plan, limit: int) -> dict[str, object]:
    """A plan as JSON."""
    return {
        "is_complete": work.is_complete,
        "is_empty": work.is_empty,
        **work.counts(),
        "objects": [
            {"change": item.change.value, "uri": item.obj.uri, "bytes": item.obj.size_bytes}
            for item in islice(_changes(work), limit)
        ],
    }


def _changes(work: Plan) -> Iterator[Difference]:
    return chain(work.fetch(), work.vanished)


def _show(uri: str, work: Plan, limit: int) -> None:
    partial = "" if work.is_complete else " [yellow](the listing is incomplete)[/yellow]"
    say(f"[bold]{escape(uri)}[/bold]: {plural(work.listed, 'object')}{partial}")
    if work.is_empty:
        say("  nothing to do")
        return
    shown = {name.replace("_", " "): count for name, count in work.counts().items() if count}
    say("  " + ", ".join(f"{count:,} {name}" for name, count in shown.items()))
    changes = work.fetches + len(work.vanished)
    if changes and limit:
        table(
            ["change", "object", "bytes"],
            [
                (item.change.value, escape(item.obj.uri), cell(item.obj.size_bytes))
                for item in islice(_changes(work), limit)
            ],
            right=["bytes"],
            fixed=["change"],
        )
    if changes > limit:
        say(f"  and {changes - limit:,} more (--limit)")
