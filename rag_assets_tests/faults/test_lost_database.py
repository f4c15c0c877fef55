"""Postgres dies, is read only, or commits and can not say so."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from rag.errors import RagError, TransientError, UnavailableError
from rag.search import search
from rag.sources.folder import path_of
from rag.stack.postgres import ensure_postgres, postgres_server
from rag.store.database import Connection, connect
from rag.store.migration import migrate
from rag_assets_tests.fakes_embed import FakeEmbedder
from rag_assets_tests.faults.library import DOCUMENTS, Library, Reader
from rag_assets_tests.faults.profile import seeded
from rag_assets_tests.faults.proxy import proxied
from rag_assets_tests.faults.rows import rows_made_in_peace, served_rows
from rag_assets_tests.faults.worker import NAME, bring_up
from rag_assets_tests.world import assert_world_is_sound, served

CRASHES = 20
RECOVERY_S = 60.0
_TABLES = (
    "document", "document_version", "parsed", "chunk_set", "chunk", "embedding", "embedded_set",
    "publication", "search_row", "generation", "dead_letter", "lease",
)  # fmt: skip


def table_counts(conn: Connection) -> dict[str, int]:
    rows = {name: conn.execute(f"select count(*) as n from {name}".encode()) for name in _TABLES}
    return {name: row["n"] for name, found in rows.items() for row in found}


@pytest.mark.slow
def test_commits_whose_answer_is_lost_count_once(
    conn: Connection, database_url: str, tmp_path: Path
) -> None:
    library = Library.create(tmp_path / "docs", database_url)
    bring_up(database_url, tmp_path / "spool")
    errors = 0
    with proxied(database_url) as proxy:
        for nth in range(1, 50):
            library.write(nth % DOCUMENTS)
            cuts, proxy.cut_at = proxy.cuts, nth
            try:
                bring_up(proxy.url, tmp_path / "spool", lease_s=0.1)
            except UnavailableError:
                errors += 1
            if proxy.cuts == cuts:
                break  # the run has fewer commits than that
            proxy.cut_at = 0
            time.sleep(0.2)
            bring_up(proxy.url, tmp_path / "spool", lease_s=0.1)
            assert_world_is_sound(conn)
    print(f"{proxy.cuts} commits without an answer, {errors} errors")
    assert proxy.cuts >= 5
    assert errors == proxy.cuts  # each was seen as a failure, in our words
    disturbed = table_counts(conn)
    assert disturbed["document"] == DOCUMENTS
    assert disturbed["document_version"] == sum(library.versions.values())
    assert disturbed["parsed"] == disturbed["chunk_set"] == disturbed["embedded_set"]
    assert disturbed["lease"] == disturbed["dead_letter"] == 0
    assert served_rows(conn) == rows_made_in_peace(conn, database_url, tmp_path)


@pytest.mark.slow
def test_a_repeated_insert_without_a_key_would_count_twice(database_url: str) -> None:
    """The proxy does what it is there for: a blind retry of a plain insert doubles the row."""
    with psycopg.connect(database_url, autocommit=True) as direct, proxied(database_url) as proxy:
        direct.execute("create table naive (n int)")
        for _ in range(2):
            proxy.cut_at = 1
            with (
                pytest.raises(psycopg.OperationalError),
                psycopg.connect(proxy.url) as conn,
            ):
                conn.execute("insert into naive values (1)")
                conn.commit()
        assert direct.execute("select count(*) from naive").fetchone() == (2,)


@pytest.mark.slow
def test_a_read_only_database_burns_no_attempt_and_serves_searches(
    conn: Connection, database_url: str, tmp_path: Path
) -> None:
    library = Library.create(tmp_path / "docs", database_url, documents=2)
    bring_up(database_url, tmp_path / "spool")
    before = table_counts(conn)
    library.write(0)
    database = urlsplit(database_url).path[1:]
    conn.execute(f"alter database {database} set default_transaction_read_only = on".encode())
    for _ in range(5):
        with pytest.raises(TransientError) as caught:
            bring_up(database_url, tmp_path / "spool")
        assert caught.value.code == "database_read_only"
    with connect(database_url) as reading:
        assert len(search(reading, FakeEmbedder(), NAME, "document version").hits) == 4
    conn.execute(f"alter database {database} reset default_transaction_read_only".encode())
    assert table_counts(conn) == before
    assert bring_up(database_url, tmp_path / "spool")["search_index"]["documents"] == 1


@contextmanager
def own_postgres(home: Path) -> Iterator[str]:
    """A server that may be killed, stopped at the end."""
    url = ensure_postgres(home, durable=False)
    try:
        yield url
    finally:
        server = postgres_server(home, durable=False)
        from rag.stack import shared_server

        shared_server._held.pop(server.folder).release()
        server.wait_until_stopped()


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_when_postgres_crashes(temporary_home: Path) -> None:
    rng = seeded()
    with own_postgres(temporary_home) as first_url:
        migrate(first_url)
        library = Library.create(temporary_home / "docs", first_url)
        bring_up(first_url, temporary_home / "spool")
        recoveries = []
        reader = Reader(first_url)
        for _ in range(CRASHES):
            with reader.reading():
                library.write(rng.randrange(DOCUMENTS))
                how = rng.choice([signal.SIGKILL, signal.SIGQUIT])
                after_s = rng.uniform(0.0, 0.4)
                _crash_during_a_run(how, after_s, temporary_home, reader.database_url)
                started = time.monotonic()
                reader.database_url = _up_again(temporary_home)
                recoveries.append(round(time.monotonic() - started, 1))
            with connect(reader.database_url) as conn:
                assert_world_is_sound(conn)
                texts = served(conn, str(NAME))
                assert {path_of(uri).read_text() for uri in texts} == set(texts.values())
                assert len(texts) == DOCUMENTS
        print(f"{CRASHES} crashes, up again after {recoveries} s, {reader.reads} reads, "
              f"{reader.refused} refused")  # fmt: skip
        assert reader.violations == []
        assert reader.reads >= 4 * CRASHES
        assert reader.refused >= CRASHES // 2
        assert max(recoveries) < RECOVERY_S


def _crash_during_a_run(how: signal.Signals, after_s: float, home: Path, url: str) -> None:
    """The server is killed while a run is under way, which ends in our words."""
    from threading import Timer

    pid = int((home / "postgres" / "data" / "postmaster.pid").read_text().partition("\n")[0])
    timer = Timer(after_s, os.kill, (pid, how))
    timer.start()
    try:
        while True:
            bring_up(url, home / "spool", lease_s=0.5)
    except RagError as error:
        assert isinstance(error, UnavailableError)
    finally:
        timer.join()


def _up_again(home: Path) -> str:
    """What a user's next command does: the server is started, the run is repeated."""
    deadline = time.monotonic() + RECOVERY_S
    while True:
        try:
            url = ensure_postgres(home, durable=False)
            time.sleep(0.5)  # a claim of the killed run lapses
            bring_up(url, home / "spool", lease_s=0.5)
        except UnavailableError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return url
