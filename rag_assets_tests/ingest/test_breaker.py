"""The breaker judges a whole source, whichever of its shards looks, and releases what it held."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.fingerprint import shard_index
from rag.store import manifest
from rag.store.collections import find_collection, list_sources
from rag.store.database import Connection
from rag_assets_tests.ingest.harness import Harness
from rag_assets_tests.world import assert_world_is_sound, held_for, served

SHARDS = 4
TIGHT = {"deletion_floor": 5, "deletion_share": 0.05}


@pytest.fixture
def sharded(conn: Connection, database_url: str, tmp_path: Path) -> Harness:
    """Four shards of at most 20 documents, of whom 5 may go at once."""
    harness = Harness(conn, database_url, tmp_path, settings=TIGHT, shards=SHARDS)
    fill(harness, 40)
    return harness


def fill(harness: Harness, documents: int) -> None:
    for n in range(documents):
        harness.source.put(f"{n}.txt", f"text number {n}".encode())
    run_all(harness)


def run_all(harness: Harness) -> tuple[int, int]:
    """A run of each shard, one after another; how many were deleted and how many held."""
    counts = [harness.run(index)["raw_documents"] for index in range(harness.shards)]
    return sum(each["deleted"] for each in counts), sum(each["held"] for each in counts)


def confirm(harness: Harness) -> list[int]:
    found = find_collection(harness.conn, harness.name)
    return [documents for _, documents in manifest.confirm_deletions(harness.conn, found.id)]


def held(harness: Harness) -> int:
    (row,) = list_sources(harness.conn, find_collection(harness.conn, harness.name))
    return int(row["breaker_documents"] or 0)


def left(harness: Harness) -> int:
    return len(served(harness.conn, str(harness.name)))


def of_shard(harness: Harness, index: int) -> list[str]:
    uri = harness.source.uri
    return [n for n in harness.source.objects if shard_index(uri + n, harness.shards) == index]


def test_shards_that_each_lose_little_hold_what_is_much_of_the_source(sharded: Harness) -> None:
    for index in range(SHARDS):
        for name in of_shard(sharded, index)[:3]:
            sharded.source.delete(name)

    assert run_all(sharded) == (0, 12)
    assert (held(sharded), left(sharded)) == (12, 40)


def test_a_few_deletions_in_several_shards_go_through_at_once(sharded: Harness) -> None:
    for index in range(SHARDS):
        sharded.source.delete(of_shard(sharded, index)[0])

    assert run_all(sharded) == (4, 0)
    assert held(sharded) == 0


def test_what_is_little_of_a_large_source_is_not_held_in_a_small_shard(sharded: Harness) -> None:
    sharded.settings = {"deletion_floor": 0, "deletion_share": 0.1}
    for name in of_shard(sharded, 0)[:3]:
        sharded.source.delete(name)

    assert run_all(sharded) == (3, 0)


def test_a_shard_without_losses_leaves_the_breaker_and_its_confirmation(sharded: Harness) -> None:
    names = of_shard(sharded, 0)
    assert len(names) > 5
    for name in names:
        sharded.source.delete(name)

    assert run_all(sharded) == (0, len(names))
    assert held(sharded) == len(names)
    assert confirm(sharded) == [len(names)]
    for index in (1, 2, 3):
        sharded.run(index)
    assert sharded.run(0)["raw_documents"]["deleted"] == len(names)
    assert_world_is_sound(sharded.conn)


def test_a_confirmation_lets_every_shard_delete_what_was_held(sharded: Harness) -> None:
    sharded.source.objects.clear()
    sharded.run(2)  # one look tells of all shards

    assert confirm(sharded) == [40]
    assert held(sharded) == 0
    assert run_all(sharded) == (40, 0)
    assert confirm(sharded) == []
    (row,) = list_sources(sharded.conn, find_collection(sharded.conn, sharded.name))
    assert row["breaker_since"] is None


def test_a_later_listing_confirms_in_every_shard(sharded: Harness) -> None:
    sharded.source.objects.clear()
    assert run_all(sharded) == (0, 40)
    held_for(sharded.conn, "6 minutes")

    assert run_all(sharded) == (40, 0)


@pytest.mark.parametrize("by", ["time", "operator"])
def test_only_what_was_held_is_released(harness: Harness, by: str) -> None:
    harness.settings = TIGHT
    fill(harness, 40)
    for n in range(10):
        harness.source.delete(f"{n}.txt")
    assert run_all(harness) == (0, 10)
    if by == "operator":
        assert confirm(harness) == [10]
    else:
        held_for(harness.conn, "6 minutes")
    harness.source.objects.clear()

    assert run_all(harness) == (10, 30)
    assert (held(harness), left(harness)) == (30, 30)
    assert run_all(harness) == (0, 30)
    held_for(harness.conn, "6 minutes")
    assert run_all(harness) == (30, 0)


def go_and_come_back(sharded: Harness) -> None:
    """All objects vanish, are held for long enough to be confirmed, and are there again."""
    objects = dict(sharded.source.objects)
    sharded.source.objects.clear()
    run_all(sharded)
    held_for(sharded.conn, "6 minutes")
    sharded.source.objects.update(objects)


def test_what_came_back_was_never_missing(sharded: Harness) -> None:
    go_and_come_back(sharded)
    assert run_all(sharded) == (0, 0)
    assert held(sharded) == 0
    sharded.source.objects.clear()

    assert run_all(sharded) == (0, 40)


def test_what_came_back_unseen_by_its_own_shard_is_held_again(sharded: Harness) -> None:
    go_and_come_back(sharded)
    sharded.run(0)  # the others have not looked yet
    sharded.source.objects.clear()

    assert run_all(sharded) == (0, 40)
