"""Hints: objects that notifications named, kept until a run has looked at their source."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from rag.fingerprint import shard_index
from rag.store.database import Connection, Row
from rag.store.manifest import Scope
from rag.store.queries import statements


def add_hints(conn: Connection, uris: Iterable[str]) -> int:
    """Remember in one transaction that these objects may have changed, in each source that holds
    them; returns how many hints that made. What no source holds is forgotten."""
    sql = statements("hints")
    # sorted, so that two consumers never wait for each other's rows
    with conn.transaction():
        rows = conn.execute(sql["sources_of"], {"uris": sorted(set(uris))}).fetchall()
        conn.execute(
            sql["add"],
            {
                "source_ids": [row["source_id"] for row in rows],
                "uris": [row["uri"] for row in rows],
                "shards": [shard_index(row["uri"], row["shards"]) for row in rows],
            },
        )
    return len(rows)


def clear_hints(conn: Connection, scope: Scope, listed_at: datetime) -> None:
    """A look at the source, begun at `listed_at`, has seen what these hints meant."""
    conn.execute(statements("hints")["clear"], {**scope.parameters, "listed_at": listed_at})


def hinted_shards(conn: Connection) -> list[Row]:
    """Shards with hints: names, number of objects, and when the newest was received."""
    return conn.execute(statements("hints")["hinted_shards"]).fetchall()
