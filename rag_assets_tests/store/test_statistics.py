"""A plan is never made blindly for more than a few hundred rows."""

from __future__ import annotations

import pytest

from rag.store.database import Connection
from rag.store.statistics import refresh_statistics


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "is_known"), [(100, False), (450, True)])
def test_tables_are_looked_at_while_they_are_small(
    conn: Connection, rows: int, is_known: bool
) -> None:
    assert known_rows(conn) == -1
    conn.execute("insert into namespace (name) select 'n' || generate_series(1, %s)", [rows])

    refresh_statistics(conn)

    assert known_rows(conn) == (rows if is_known else -1)


def known_rows(conn: Connection) -> int:
    """How many rows of `namespace` the planner knows of; -1: it was never told."""
    row = conn.execute("select reltuples::int as rows from pg_class where relname = 'namespace'")
    (found,) = row.fetchall()
    return int(found["rows"])
