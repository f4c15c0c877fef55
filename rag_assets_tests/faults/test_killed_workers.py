"""Workers are killed at any moment while people search."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from rag.store.database import Connection
from rag_assets_tests.faults.library import DOCUMENTS, Library, Reader
from rag_assets_tests.faults.nursery import nursery
from rag_assets_tests.faults.profile import NIGHTLY, seeded
from rag_assets_tests.faults.rows import rows_made_in_peace, served_rows
from rag_assets_tests.faults.worker import bring_up
from rag_assets_tests.stack.processes import eventually
from rag_assets_tests.world import assert_world_is_sound

KILLS = 200 if NIGHTLY else 20
LEASE_S = 0.3


def _published(conn: Connection) -> int:
    (row,) = conn.execute(
        "select coalesce(sum((counts->>'documents')::int), 0)::int as n from stage_run"
        " where stage = 'search_index'"
    ).fetchall()
    return int(row["n"])


def _seconds_of_a_run(library: Library, database_url: str, tmp_path: Path) -> float:
    bring_up(database_url, tmp_path / "spool")
    library.write(0)
    started = time.monotonic()
    bring_up(database_url, tmp_path / "spool")
    return time.monotonic() - started


@pytest.mark.slow
def test_no_reader_ever_sees_a_part_or_a_mixture(
    conn: Connection, database_url: str, tmp_path: Path
) -> None:
    rng = seeded()
    library = Library.create(tmp_path / "docs", database_url)
    longest_life_s = 3 * _seconds_of_a_run(library, database_url, tmp_path)
    before, interrupted, offsets = _published(conn), 0, []
    with (
        nursery(database_url, tmp_path / "spool", f"lease={LEASE_S}") as workers,
        library.being_rewritten(rng, pause_s=0.1),
        Reader(database_url).reading() as reader,
    ):
        for _ in range(KILLS):
            pid = workers.start()
            offsets.append(round(rng.uniform(0.02, longest_life_s), 3))
            time.sleep(offsets[-1])
            workers.kill(pid)
            interrupted += workers.was_at_work(pid)
            assert_world_is_sound(conn)
    print(f"killed after {offsets} s; {interrupted} runs interrupted, {reader.reads} reads, ",
          f"{_published(conn) - before} documents published")  # fmt: skip
    assert reader.violations == []
    assert interrupted >= KILLS // 2
    assert reader.reads >= 5 * KILLS
    assert _published(conn) - before >= KILLS // 4
    time.sleep(LEASE_S)  # what the last one held is free now
    bring_up(database_url, tmp_path / "spool", LEASE_S)
    found = served_rows(conn)
    assert len({row["uri"] for row in found}) == DOCUMENTS
    assert found == rows_made_in_peace(conn, database_url, tmp_path)
    assert not list((tmp_path / "docs").glob(".*"))


@pytest.mark.slow
def test_without_a_transaction_the_same_reader_sees_it(database_url: str, tmp_path: Path) -> None:
    rng = seeded()
    library = Library.create(tmp_path / "docs", database_url)
    bring_up(database_url, tmp_path / "spool")
    deadline = time.monotonic() + 60
    with (
        nursery(database_url, tmp_path / "spool", f"lease={LEASE_S}", "steps") as workers,
        library.being_rewritten(rng),
        Reader(database_url).reading() as reader,
    ):
        workers.start()
        while not reader.violations and time.monotonic() < deadline:
            time.sleep(0.05)
    assert reader.violations, "the reader is blind"
    print(reader.violations[0], f"({reader.reads} reads)")


@pytest.mark.slow
def test_two_writers_at_once_have_one_outcome(
    conn: Connection, database_url: str, tmp_path: Path
) -> None:
    rng = seeded()
    library = Library.create(tmp_path / "docs", database_url)
    bring_up(database_url, tmp_path / "spool")
    before = _published(conn)
    with (
        nursery(database_url, tmp_path / "spool", f"lease={LEASE_S}") as workers,
        Reader(database_url).reading() as reader,
    ):
        with library.being_rewritten(rng):
            pids = [workers.start(), workers.start()]
            time.sleep(60.0 if NIGHTLY else 6.0)
            # enough for a share of them to mean something, on a slow machine too
            assert eventually(lambda: len(workers.said("end")) >= 10, 60)
        time.sleep(LEASE_S)
        for pid in pids:
            workers.kill(pid)
    runs = len(workers.said("end"))
    print(f"{runs} runs ended, errors {workers.said('error')}, {reader.reads} reads")
    assert reader.violations == []
    # losing a race costs a retry, in our words, and rarely
    assert set(workers.said("error")) <= {"database_unavailable"}
    assert len(workers.said("error")) <= runs // 10
    assert _published(conn) - before >= DOCUMENTS
    assert_world_is_sound(conn)
    time.sleep(LEASE_S)
    bring_up(database_url, tmp_path / "spool", LEASE_S)
    assert served_rows(conn) == rows_made_in_peace(conn, database_url, tmp_path)


@pytest.mark.slow
def test_a_file_that_kills_its_worker_three_times_is_set_aside_alone(
    conn: Connection, database_url: str, tmp_path: Path
) -> None:
    library = Library.create(tmp_path / "docs", database_url)
    library.put("killer.txt", "KILLER of processes")
    deaths = 0
    options = ("lease=0.3", "once")
    with nursery(database_url, tmp_path / "spool", *options) as workers:
        for _ in range(8):
            pid = workers.start()
            workers.wait_until_gone(pid)
            if not workers.was_at_work(pid):
                break
            deaths += 1
            time.sleep(0.5)
    letters = conn.execute("select code, kind, attempts, next_retry_at from dead_letter").fetchall()
    assert deaths == 3
    assert letters == [
        {"code": "worker_died", "kind": "poison", "attempts": 4, "next_retry_at": None}
    ]
    assert len({row["uri"] for row in served_rows(conn)}) == len(library.versions)
    library.put("killer.txt", "reformed and of good will")
    assert bring_up(database_url, tmp_path / "spool")["search_index"]["documents"] == 1
