"""How long changes take to become searchable, and how long they should take."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from rag.store.database import Connection, Row
from rag.store.queries import statements


def set_objective(conn: Connection, collection_id: int, warn_s: float, fail_s: float) -> None:
    """From now on the collection should be so current."""
    given = {"collection_id": collection_id, "warn_s": warn_s, "fail_s": fail_s}
    conn.execute(statements("freshness")["set_objective"], given)


def drop_objective(conn: Connection, collection_id: int) -> None:
    """From now on the settings say."""
    conn.execute(statements("freshness")["drop_objective"], {"collection_id": collection_id})


@dataclass(frozen=True, slots=True)
class Look:
    """What is measured: every collection, one, or one shard of it, over changes of so many
    seconds, against these objectives where a collection has none of its own."""

    window_s: float
    warn_s: float
    fail_s: float
    collection_id: int | None = None
    shard: int | None = None


def freshness(conn: Connection, look: Look) -> list[Row]:
    """Counts, ages and percentiles by collection."""
    return conn.execute(statements("freshness")["freshness"], asdict(look)).fetchall()
