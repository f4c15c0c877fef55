"""Keeps the planner's statistics true while a run loads rows.

Autovacuum looks once a minute; a bulk load fills empty tables in seconds, and a plan made for an
empty table (2,000 documents: 82 s for a statement that takes 0.3 s) is the cost of waiting.
"""

from __future__ import annotations

from psycopg import sql

from rag.store.database import Connection
from rag.store.queries import statements


def refresh_statistics(conn: Connection) -> None:
    """ANALYZE each table that changed by more than 100 rows and half its size since then."""
    conn.execute(statements("statistics")["flush"])
    rows = conn.execute(statements("statistics")["stale_tables"]).fetchall()
    if rows:
        tables = sql.SQL(", ").join(sql.Identifier(row["name"]) for row in rows)
        conn.execute(sql.SQL("analyze {}").format(tables))
