"""rag status: how the collections stand, and what failed."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rag.cli.terminal import AsJson, plural, say, write_json


def status(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NS/NAME]", help="A collection; without it, all of them."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Documents by state, failures with their reason and next retry, generations, last runs."""
    from dataclasses import asdict

    from rag.cli.backend import open_backend
    from rag.freshness import measure
    from rag.model import CollectionName
    from rag.store import collections, standing

    wanted = None if name is None else CollectionName.parse(name)
    with open_backend() as backend:
        if wanted is not None:
            names = [wanted]
        else:
            rows = collections.list_collections(backend.conn)
            names = [CollectionName(row["namespace"], row["name"]) for row in rows]
        shown: list[dict[str, Any]] = [standing.full_status(backend.conn, each) for each in names]
        for each, stands in zip(names, shown, strict=True):
            found = collections.find_collection(backend.conn, each)
            stands["freshness"] = measure(backend.conn, found, backend.settings)
    if as_json:
        for stands in shown:
            stands["freshness"] = asdict(stands["freshness"])
        write_json({"collections": shown})
    else:
        _show(shown)


def _show(shown: list[dict[str, Any]]) -> None:
    from rag.cli.standing_view import show_failures, show_freshness, show_overview, show_runs

    if not shown:
        say("There is no collection yet: `rag collection create NS/NAME --source URI` makes one.")
    for collection in shown:
        show_overview(collection)
        show_freshness(collection["freshness"])
        failures = collection["failures"]
        runs = collection["runs"]
        if failures:
            show_failures(failures)
            say(f"`rag retry {collection['collection']}` tries "
                f"{plural(len(failures), 'failure')} again now.")  # fmt: skip
        if runs:
            show_runs(runs)
        say()
