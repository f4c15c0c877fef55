"""How long changes take to become searchable, and how long they should take."""

from __future__ import annotations

from rag.store.database import Connection, Row
from rag.store.queries import statements


def objective(conn: Connection, collection_id: int) -> Row | None:
    """The collection's own `warn_s` and `fail_s`, if it has any."""
    given = {"collection_id": collection_id}
    return conn.execute(statements("freshness")["objective"], given).fetchone()


def set_objective(conn: Connection, collection_id: int, warn_s: float, fail_s: float) -> None:
    """From now on the collection should be so current."""
    given = {"collection_id": collection_id, "warn_s": warn_s, "fail_s": fail_s}
    conn.execute(statements("freshness")["set_objective"], given)


def drop_objective(conn: Connection, collection_id: int) -> None:
    """From now on the settings say."""
    conn.execute(statements("freshness")["drop_objective"], {"collection_id": collection_id})


def freshness(conn: Connection, collection_id: int, shard: int, window_s: float) -> Row:
    """Counts, ages and percentiles of one shard."""
    given = {"collection_id": collection_id, "shard": shard, "window_s": window_s}
    row = conn.execute(statements("freshness")["freshness"], given).fetchone()
    assert row is not None
    return row
