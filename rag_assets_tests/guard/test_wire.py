"""The counting way to Postgres counts what was done, no more and no less."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from rag_assets_tests.guard.wire import Wire, counted


@pytest.fixture
def wire(postgres_server: str) -> Iterator[Wire]:
    with counted(postgres_server) as found:
        yield found


def test_every_statement_is_one_round_trip(wire: Wire) -> None:
    with psycopg.connect(wire.url, autocommit=True) as conn:
        wire.traffic.clear()
        for number in range(3):
            assert conn.execute("select %s::int", [number]).fetchone() == (number,)
        assert wire.traffic.statements == {"select $1::int": 3}
        assert wire.traffic.round_trips == 3


def test_a_pipeline_is_many_statements_and_one_round_trip(wire: Wire) -> None:
    with psycopg.connect(wire.url, autocommit=True) as conn:
        conn.execute("create temporary table n (n int)")
        wire.traffic.clear()
        with conn.pipeline():
            for number in range(4):
                conn.execute("insert into n values (%s)", [number], prepare=False)
        assert wire.traffic.statements == {"insert into n values ($1)": 4}
        assert wire.traffic.round_trips == 1


def test_an_answer_within_a_pipeline_is_a_round_trip(wire: Wire) -> None:
    with psycopg.connect(wire.url, autocommit=True) as conn:
        wire.traffic.clear()
        with conn.pipeline():
            assert conn.execute("select 1").fetchone() == (1,)
            conn.execute("select 2")
        assert wire.traffic.round_trips == 2


def test_a_statement_that_was_prepared_is_still_known_by_its_words(wire: Wire) -> None:
    with psycopg.connect(wire.url, autocommit=True) as conn:
        conn.execute("select %s::int", [1], prepare=True)
        wire.traffic.clear()
        conn.execute("select %s::int", [2], prepare=True)
        assert wire.traffic.statements == {"select $1::int": 1}


def test_copied_rows_are_counted_in_bytes_and_the_copy_in_two_round_trips(wire: Wire) -> None:
    with psycopg.connect(wire.url, autocommit=True) as conn:
        conn.execute("create temporary table n (n text)")
        wire.traffic.clear()
        with conn.cursor().copy("copy n from stdin") as copy:
            for _ in range(1000):
                copy.write_row(["x" * 99])
        assert wire.traffic.copied_bytes == 100 * 1000
        assert wire.traffic.statements.total() == 1
        assert wire.traffic.round_trips == 2


def test_connections_are_counted_together(wire: Wire) -> None:
    with psycopg.connect(wire.url) as first, psycopg.connect(wire.url) as second:
        wire.traffic.clear()
        first.execute("select 1")
        second.execute("select 1")
        assert wire.traffic.statements == {"BEGIN": 2, "select 1": 2}
