"""A search reads one moment, under its role, and leaves nothing of that on the connection."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from rag.store import access, lookup
from rag.store.database import Connection

WHO = "select current_user as who, current_setting('transaction_read_only') as read_only"


def test_it_is_read_only_and_repeatable_and_over_at_its_end(conn: Connection) -> None:
    with lookup.reading(conn):
        within = conn.execute(f"{WHO}, current_setting('transaction_isolation') as level")
        assert within.fetchone() == {
            "who": conn.info.user, "read_only": "on", "level": "repeatable read"
        }  # fmt: skip
    assert conn.info.transaction_status == TransactionStatus.IDLE
    after = conn.execute(WHO).fetchone()
    assert after is not None and after["read_only"] == "off"


def test_what_was_asked_last_is_there_after_the_end(conn: Connection) -> None:
    with lookup.reading(conn):
        last = conn.execute("select 7 as number")
    assert last.fetchone() == {"number": 7}


def test_one_within_another_transaction_leaves_it_open(conn: Connection) -> None:
    with conn.transaction():
        with lookup.reading(conn):
            conn.execute("select 1")
        assert conn.info.transaction_status == TransactionStatus.INTRANS


@pytest.mark.parametrize("statement", ["select 1 / 0", "create table written ()"])
def test_an_error_ends_it_and_the_role_with_it(conn: Connection, statement: str) -> None:
    with pytest.raises(psycopg.Error), lookup.reading(conn):
        access.become_reader(conn, "acme")
        conn.execute(statement)
    assert conn.info.transaction_status == TransactionStatus.IDLE
    now = conn.execute(WHO).fetchone()
    assert now == {"who": conn.info.user, "read_only": "off"}


def test_nothing_is_read_when_the_role_can_not_be_taken(conn: Connection) -> None:
    read: list[object] = []
    with pytest.raises(psycopg.Error), lookup.reading(conn):
        conn.execute("select set_config('role', 'nobody_of_that_name', true)")
        read.append(conn.execute("select name from namespace").fetchall())
    assert read == []


def test_an_error_of_the_caller_ends_it_too(conn: Connection) -> None:
    with pytest.raises(KeyError), lookup.reading(conn):
        access.become_reader(conn, "acme")
        raise KeyError("ours")
    now = conn.execute(WHO).fetchone()
    assert now == {"who": conn.info.user, "read_only": "off"}
