"""Partitions of the search rows: small generations share one and are searched exactly; a large one
gets its own, and when its bulk is loaded an HNSW index over it.

Rows know their partition by `home`: 0 is the shared one, anything else the generation's id. So no
other partition is read or locked when one is added.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import sql

from rag.store.database import Connection
from rag.store.queries import statements

_BUILD_TIMEOUT_S = 4 * 3600
_BUILD_MEMORY = "2GB"  # the most a build may use; it takes what it needs
_NEIGHBOURS = 16
_CONSTRUCTION = 200


def home_of(conn: Connection, generation_id: int) -> int:
    """Where the generation's rows go, held still until the transaction in progress ends."""
    row = conn.execute(
        statements("partitions")["home"], {"generation_id": generation_id}
    ).fetchone()
    assert row is not None
    return int(row["home"])


def give_own_partition(conn: Connection, generation_id: int, from_rows: int) -> None:
    """Move a generation of at least that many rows to a partition of its own, in one transaction.
    Searches see its rows where they were until then."""
    named = statements("partitions")
    given = {"generation_id": generation_id}
    size = conn.execute(named["size"], given).fetchone()
    if size is None or size["home"] or size["rows"] < from_rows:
        return
    with conn.transaction():
        held = conn.execute(named["lock_generation"], given).fetchone()
        if held is None or held["home"]:
            return
        table = sql.Identifier(_table(generation_id))
        key = sql.Literal(generation_id)
        conn.execute(
            sql.SQL(
                "create table {table} (like search_row including all, check (home = {key}))"
            ).format(table=table, key=key)
        )
        conn.execute(
            sql.SQL("alter table search_row attach partition {table} for values in ({key})").format(
                table=table, key=key
            )
        )
        conn.execute(named["move_home"], given)
        conn.execute(named["move_rows"], given)


def build_vector_index(conn: Connection, generation_id: int) -> bool:
    """Build the HNSW index of a generation's own partition when it has none; True if it did.

    Searches and writers go on meanwhile; a build that was cut short is begun again. `conn` must
    not be in a transaction."""
    name = f"{_table(generation_id)}_hnsw"
    named = statements("partitions")
    given = {"generation_id": generation_id}
    row = conn.execute(named["vector_dimension"], given).fetchone()
    state = conn.execute(named["index_state"], {"index": name}).fetchone()
    if row is None or (state is not None and state["is_valid"]):
        return False
    index = sql.Identifier(name)
    if state is not None:
        conn.execute(sql.SQL("drop index concurrently {}").format(index))
    with _session_settings(conn):
        conn.execute(
            sql.SQL(
                "create index concurrently {index} on {table} using hnsw "
                "((vector::halfvec({dimension})) halfvec_cosine_ops) "
                "with (m = {neighbours}, ef_construction = {construction})"
            ).format(
                index=index,
                table=sql.Identifier(_table(generation_id)),
                dimension=sql.Literal(row["dimension"]),
                neighbours=sql.Literal(_NEIGHBOURS),
                construction=sql.Literal(_CONSTRUCTION),
            )
        )
    return True


def drop_unused(conn: Connection) -> None:
    """Drop the partitions whose generation is gone."""
    for row in conn.execute(statements("partitions")["unused_partitions"]).fetchall():
        conn.execute(sql.SQL("drop table if exists {}").format(sql.Identifier(row["name"])))


@contextmanager
def _session_settings(conn: Connection) -> Iterator[None]:
    """Room and time for a build, for this session until it is done."""
    conn.execute(f"set statement_timeout = '{_BUILD_TIMEOUT_S}s'")
    conn.execute(f"set maintenance_work_mem = '{_BUILD_MEMORY}'")
    try:
        yield
    finally:
        if not conn.broken:
            conn.execute("reset maintenance_work_mem")
            conn.execute("reset statement_timeout")


def _table(generation_id: int) -> str:
    return f"search_row_{generation_id}"
