"""Sources bounded in time: what older objects wait for, and what a backfill brings."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rag.errors import NotFoundError
from rag.ingest.backfill import Reach, backfill
from rag.sources.selection import days_ago
from rag.store import collections
from rag.store.hints import hinted_shards
from rag_assets_tests.fakes_source import FakeSource
from rag_assets_tests.ingest.harness import Harness
from rag_assets_tests.world import assert_world_is_sound, served

OLD = datetime(2020, 6, 1, tzinfo=UTC)
OLDER = datetime(2010, 6, 1, tzinfo=UTC)


@pytest.fixture
def bounded(harness: Harness) -> Harness:
    """A source bounded to 2025, with objects of 2026, 2020 and 2010."""
    bind(harness, harness.source.uri, since="2025-01-01")
    harness.source.put("new.txt", b"The new rope.")
    harness.source.put("old.txt", b"The old rope.", at=OLD)
    harness.source.put("older.txt", b"The older rope.", at=OLDER)
    return harness


def bind(harness: Harness, uri: str, since: str) -> None:
    found = collections.find_collection(harness.conn, harness.name)
    collections.add_source(harness.conn, found, uri, since=since)


def back(harness: Harness, since: str, uri: str | None = None) -> list[Reach]:
    return backfill(
        harness.conn, collections.find_collection(harness.conn, harness.name), since, uri
    )


def texts(harness: Harness) -> list[str]:
    return sorted(served(harness.conn, str(harness.name)).values())


def test_older_objects_wait_for_a_backfill_that_reaches_them(bounded: Harness) -> None:
    bounded.run()
    assert texts(bounded) == ["The new rope."]
    assert bounded.source.fetched == ["new.txt"]

    assert back(bounded, "2020-01-01") == [Reach(bounded.source.uri, "2020-01-01", True)]
    bounded.run()
    assert texts(bounded) == ["The new rope.", "The old rope."]

    back(bounded, "2010-01-01")
    bounded.run()
    assert texts(bounded) == ["The new rope.", "The old rope.", "The older rope."]
    assert_world_is_sound(bounded.conn)


def test_a_backfill_does_no_work_twice_and_deletes_nothing(bounded: Harness) -> None:
    bounded.run()
    parsed, embedded = len(bounded.parser.parsed), bounded.embedder.texts_embedded
    back(bounded, "2020-01-01")

    counts = bounded.run()

    assert counts["raw_documents"]["new"] == 1
    assert counts["raw_documents"]["deleted"] == counts["raw_documents"]["held"] == 0
    assert bounded.parser.parsed[parsed:] == ["old.txt"]
    assert bounded.embedder.texts_embedded == embedded + 1
    assert bounded.source.fetched == ["new.txt", "old.txt"]


def test_a_bound_never_moves_forward(bounded: Harness) -> None:
    back(bounded, "2010-01-01")
    bounded.run()

    assert back(bounded, "2025-06-01") == [Reach(bounded.source.uri, "2010-01-01", False)]
    counts = bounded.run()

    assert counts["raw_documents"]["deleted"] == 0 and len(texts(bounded)) == 3


def test_time_alone_takes_nothing_out_of_the_index(bounded: Harness) -> None:
    """The bound is a day, not an age."""
    bounded.run()
    (row,) = collections.all_sources(bounded.conn)

    bounded.run()

    assert row["options"] == {"since": "2025-01-01"}
    assert collections.all_sources(bounded.conn) == [row]


def test_an_overwrite_brings_an_old_object_in(bounded: Harness) -> None:
    bounded.run()
    bounded.source.put("old.txt", b"The mended rope.")

    bounded.run()

    assert texts(bounded) == ["The mended rope.", "The new rope."]


def test_a_list_older_than_the_bound_still_guards_its_document(bounded: Harness) -> None:
    bounded.source.put("new.txt.acl.json", b'{"principals": ["board"]}', at=OLDER)

    bounded.run()

    assert bounded.search("rope", principals=["eva"]).hits == ()
    assert [hit.document for hit in bounded.search("rope", principals=["board"]).hits] == [
        "new.txt"
    ]


def test_a_backfill_asks_for_a_look_and_leaves_sources_without_a_bound_alone(
    bounded: Harness,
) -> None:
    other, third = FakeSource("fake://other/"), FakeSource("fake://third/")
    bounded.others = {each.uri: each for each in (other, third)}
    found = collections.find_collection(bounded.conn, bounded.name)
    collections.add_source(bounded.conn, found, other.uri)
    bind(bounded, third.uri, since="2025-01-01")
    bounded.run()
    assert not hinted_shards(bounded.conn)

    reached = back(bounded, "2020-01-01", third.uri)

    assert reached == [Reach(third.uri, "2020-01-01", True)]
    assert [each.since for each in back(bounded, "2019-01-01")] == [
        "2019-01-01",
        None,
        "2019-01-01",
    ]
    assert len(hinted_shards(bounded.conn)) == 1
    bounded.run()
    assert not hinted_shards(bounded.conn)


def test_a_source_that_is_not_the_collections_is_named(bounded: Harness) -> None:
    with pytest.raises(NotFoundError) as caught:
        back(bounded, "2020-01-01", "fake://nowhere/")

    assert caught.value.code == "source_not_found"
    assert not hinted_shards(bounded.conn)


def test_a_day_is_one_of_utc() -> None:
    late_in_america = datetime.fromisoformat("2026-03-01T20:00:00-08:00")

    assert days_ago(1, late_in_america) == "2026-03-01"
    assert days_ago(360, datetime(2026, 12, 31, 23, 59, tzinfo=UTC)) == "2026-01-05"
