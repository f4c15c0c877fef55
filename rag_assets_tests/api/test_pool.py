"""What a request costs before anything is searched: connections that are well are not asked."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from rag.api.pool import Database
from rag.settings import Settings
from rag.store import access
from rag.store.access import KeyScope
from rag.store.database import Connection
from rag_assets_tests.guard.wire import Wire, counted


@pytest.fixture
def wire(database_url: str) -> Iterator[Wire]:
    with counted(database_url) as found:
        yield found


@pytest.fixture
def database(wire: Wire) -> Iterator[Database]:
    made = Database(wire.url, Settings(api_pool_size=1))
    made.open()
    try:
        yield made
    finally:
        made.close()


def test_a_connection_that_is_well_is_taken_without_asking(database: Database, wire: Wire) -> None:
    with database.connection() as conn:
        conn.execute("select 1")
    wire.traffic.clear()
    with database.connection() as conn:
        conn.execute("select 1")
    assert wire.traffic.round_trips == 1


def test_a_connection_that_was_closed_is_not_handed_out(
    database: Database, conn: Connection
) -> None:
    with database.connection() as first:
        pid = first.info.backend_pid
    conn.execute("select pg_terminate_backend(%s)", [pid])
    deadline = time.monotonic() + 10
    while conn.execute("select from pg_stat_activity where pid = %s", [pid]).fetchone():
        assert time.monotonic() < deadline
    time.sleep(0.05)  # the end has yet to pass the wire
    with database.connection() as second:
        assert second.info.backend_pid != pid


def test_a_key_is_one_statement_and_its_use_is_kept_to_the_minute(
    conn: Connection, database: Database, wire: Wire
) -> None:
    key = access.create_key(conn, KeyScope("acme", "read"), None)
    used = "select last_used_at from api_key"
    with database.connection() as served:
        assert access.open_with(served, key)
        first = conn.execute(used).fetchone()
        wire.traffic.clear()
        assert access.open_with(served, key)
        assert wire.traffic.round_trips == 1
        conn.execute("update api_key set last_used_at = last_used_at - interval '2 minutes'")
        assert access.open_with(served, key)
    assert first is not None and first["last_used_at"] is not None
    now = conn.execute(used).fetchone()
    assert now is not None and now["last_used_at"] > first["last_used_at"]


def test_a_key_opens_where_the_server_may_not_write(conn: Connection) -> None:
    key = access.create_key(conn, KeyScope("acme", "read"), None)
    conn.execute("set default_transaction_read_only = on")
    try:
        assert access.open_with(conn, key)
    finally:
        conn.execute("set default_transaction_read_only = off")
