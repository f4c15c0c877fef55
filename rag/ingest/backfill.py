"""A backfill: sources that are bounded in time reach further back, and are looked at."""

from __future__ import annotations

from typing import NamedTuple

from rag.errors import NotFoundError
from rag.store import collections, removal
from rag.store.collections import Collection
from rag.store.database import Connection


class Reach(NamedTuple):
    """How far back a source is taken."""

    uri: str
    since: str | None  # a day; None: everything is taken
    is_moved: bool


def backfill(
    conn: Connection, collection: Collection, since: str, uri: str | None = None
) -> list[Reach]:
    """Move the bounds of the collection's sources, or of the one at `uri`, back to the day `since`,
    never forward, and ask for a look at its sources. Runs take what came into reach; they delete
    nothing for it, and what the index holds is not parsed or embedded again.

    Raises NotFoundError (`source_not_found`)."""
    with conn.transaction():
        moved = collections.move_bounds_back(conn, collection, since, uri)
        reached = [
            Reach(row["uri"], row["options"].get("since"), row["uri"] in moved)
            for row in collections.list_sources(conn, collection)
            if uri in (None, row["uri"])
        ]
        if uri is not None and not reached:
            raise NotFoundError(
                f"{uri} is no source of {collection.name}: `rag collection show "
                f"{collection.name}` lists those it has.",
                code="source_not_found",
            )
        removal.ask_for_look(conn, collection)
    return reached
