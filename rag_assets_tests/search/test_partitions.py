"""A large generation has a partition and an index of its own, and nothing else changes."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from rag.store import lookup, partitions, retention
from rag.store.database import Connection
from rag.store.filters import Filters
from rag_assets_tests.ingest.harness import Harness
from rag_assets_tests.world import assert_world_is_sound

pytestmark = pytest.mark.slow

WORDS = ["rope", "pump", "cabin", "wind", "bearing", "oil", "station", "tower", "brake", "ice"]


@pytest.fixture
def large(conn: Connection, database_url: str, tmp_path: Path) -> Harness:
    """300 documents where 100 rows make a generation large."""
    harness = Harness(conn, database_url, tmp_path, settings={"own_partition_rows": 100})
    source = random.Random(5)
    for number in range(300):
        text = " ".join(source.choices(WORDS, k=12)) + f" number{number}"
        harness.source.put(f"{number}.txt", text.encode())
    harness.run()
    return harness


def home(harness: Harness) -> int:
    (row,) = harness.conn.execute("select home from generation order by id desc limit 1").fetchall()
    return int(row["home"])


def places(harness: Harness) -> dict[int, int]:
    rows = harness.conn.execute("select home, count(*) as rows from search_row group by home")
    return {row["home"]: row["rows"] for row in rows}


def test_a_large_generation_moves_when_it_is_published_to_again(large: Harness) -> None:
    assert places(large) == {0: 300}  # one batch: it was small when the batch began
    before = [hit.uri for hit in large.search("rope number7", k=9).hits]

    large.source.put("one-more.txt", b"pump")
    large.run()

    assert home(large) > 0 and places(large) == {home(large): 301}
    assert [hit.uri for hit in large.search("rope number7", k=9).hits] == before
    assert_world_is_sound(large.conn)


@pytest.fixture
def indexed(large: Harness, monkeypatch: pytest.MonkeyPatch) -> Harness:
    """The same with its index, which every search is made to use."""
    large.source.put("one-more.txt", b"pump")
    large.run()
    monkeypatch.setattr(lookup, "_EXACT_ROWS", 0)
    return large


def scans(harness: Harness) -> int:
    """How often the vector index was read."""
    harness.conn.execute("select pg_stat_force_next_flush()")
    (row,) = harness.conn.execute(
        "select idx_scan from pg_stat_user_indexes where indexrelname = %s",
        [f"search_row_{home(harness)}_hnsw"],
    ).fetchall()
    return int(row["idx_scan"])


def test_its_index_is_built_and_used(indexed: Harness) -> None:
    (row,) = indexed.conn.execute(
        "select indisvalid from pg_index where indexrelid = to_regclass(%s)",
        [f"search_row_{home(indexed)}_hnsw"],
    ).fetchall()
    assert row["indisvalid"]
    indexed.conn.execute("set enable_sort = off")  # at this size sorting would be cheaper
    assert indexed.search("rope number7", k=3, mode="dense").hits
    assert scans(indexed) > 0
    assert partitions.build_vector_index(indexed.conn, home(indexed)) is False


def test_edits_and_deletions_hold_in_a_partition_with_an_index(indexed: Harness) -> None:
    for number in range(0, 40, 2):
        indexed.source.put(f"{number}.txt", b"zebra crossing %d" % number)
    for number in range(1, 16, 2):
        indexed.source.delete(f"{number}.txt")
    indexed.run()

    assert_world_is_sound(indexed.conn)
    found = indexed.search("zebra crossing", k=50, mode="dense")
    assert sum("zebra" in hit.text for hit in found.hits) == 20
    assert not {f"{number}.txt" for number in range(1, 16, 2)} & {h.document for h in found.hits}


@pytest.mark.parametrize("kept", [1, 3, 30, 250])
def test_a_filter_never_gives_fewer_rows_than_there_are(indexed: Harness, kept: int) -> None:
    names = tuple(f"{number}.txt" for number in range(kept))

    found = indexed.search("rope", k=50, mode="dense", filters=Filters(filenames=names))

    assert len(found.hits) == min(kept, 50)


@pytest.mark.parametrize("kept", [30, 250, 301])
def test_the_index_finds_what_comparing_one_by_one_finds(
    indexed: Harness, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = Filters(filenames=tuple(f"{number}.txt" for number in range(kept)))
    questions = [f"{first} {second}" for first in WORDS for second in WORDS[:3]]

    def found() -> list[set[str]]:
        return [
            {hit.uri for hit in indexed.search(each, k=10, mode="dense", filters=names).hits}
            for each in questions
        ]

    indexed.conn.execute("set enable_sort = off")  # at this size sorting would be cheaper
    by_index = found()
    assert scans(indexed) >= len(questions)
    monkeypatch.setattr(lookup, "_EXACT_ROWS", 10**9)
    before = scans(indexed)
    exact = found()

    assert scans(indexed) == before
    assert all(len(each) == 10 for each in exact)
    shares = [len(a & b) / 10 for a, b in zip(by_index, exact, strict=True)]
    assert sum(shares) / len(shares) >= 0.95


def test_the_partition_goes_with_its_generation(indexed: Harness) -> None:
    old = home(indexed)
    for name in ("second", "third"):
        indexed.embedder.config["model"] = name
        indexed.run()
    retention.sweep(indexed.conn, 0.0)

    (row,) = indexed.conn.execute(
        "select to_regclass(%s) as gone", [f"search_row_{old}"]
    ).fetchall()
    assert row["gone"] is None and old not in places(indexed)
    assert_world_is_sound(indexed.conn)
