"""What is behind, and how far."""

from __future__ import annotations

import pytest

from rag.freshness import Freshness, Objective, measure, measure_all, percentiles, span
from rag.model import CollectionName
from rag.settings import load_settings
from rag.store import collections, freshness
from rag.store.collections import Collection
from rag.store.database import Connection

pytestmark = pytest.mark.slow

OBJECTIVE = Objective(warn_s=60, fail_s=600)


def shard(waiting_s: float = 0.0, unseen_s: float = 0.0) -> Freshness:
    return Freshness(
        10, 3 if waiting_s else 0, 0, waiting_s, unseen_s, 7, 6, 1.0, 2.0, 3.0, OBJECTIVE
    )


@pytest.mark.parametrize(
    ("found", "state", "words"),
    [
        (shard(), "fresh", "No change is older"),
        (shard(waiting_s=60), "fresh", "No change"),
        (shard(waiting_s=61), "late", "3 changed documents"),
        (shard(unseen_s=601), "stale", "last seen whole 10 min ago"),
        (shard(waiting_s=601, unseen_s=61), "stale", "not searchable"),
    ],
)
def test_the_oldest_unseen_change_decides(found: Freshness, state: str, words: str) -> None:
    assert found.state == state
    assert words in found.words


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59, "59 s"), (90, "1.5 min"), (7200, "2 h"), (9e5, "10.4 d")]
)
def test_spans_read_well(seconds: float, text: str) -> None:
    assert span(seconds) == text


@pytest.fixture
def docs(conn: Connection) -> Collection:
    """A collection whose source was bound ten days and seen whole ten seconds ago."""
    made = collections.create_collection(conn, CollectionName.parse("acme/docs"))
    collections.add_source(conn, made, "fake://b/")
    conn.execute(
        "update source set created_at = now() - interval '10 days',"
        " listed_at = now() - interval '10 seconds'"
    )
    conn.execute(
        "insert into fingerprint (name, kind, config)"
        " select kind || '-1', kind, '{}' from unnest(array['parser', 'chunker', 'model']) as kind"
    )
    conn.execute(
        "insert into generation (collection_id, parser_id, chunker_id, model_id, state)"
        " select %(id)s, 1, 2, 3, 'live' union all select %(id)s, 1, 2, 3, 'retired'",
        {"id": made.id},
    )
    return made


def put(
    conn: Connection,
    name: str,
    modified_s: float,
    published_s: float | None,
    *,
    generation: str = "live",
) -> None:
    """A document changed and published so many seconds ago."""
    conn.execute(
        """
        with made as (
            insert into document (collection_id, source_id, uri)
            select collection_id, id, %(name)s from source returning id
        ), version as (
            insert into document_version (document_id, content_hash, size_bytes, modified_at,
                registered_at)
            select id, sha256('x'), 1, now() - make_interval(secs => %(modified)s),
                now() - make_interval(secs => least(%(modified)s, 5)) from made
            returning id, document_id
        ), text as (
            insert into parsed (namespace_id, parser_id, content_hash, text, blocks, media_type,
                is_partial, warnings, suspicion, parser, metadata, word_count, seconds)
            values (1, 1, sha256(%(name)s::bytea), '', '[]', 't', false, '{}', 0, 'p', '{}', 0, 0)
            returning id
        ), cut as (
            insert into chunk_set (parsed_id, chunker_id, chunk_count, token_count)
            select id, 2, 0, 0 from text returning id
        )
        insert into publication (generation_id, document_id, version_id, chunk_set_id, chunk_count,
            published_at)
        select generation.id, version.document_id, version.id, cut.id, 0,
            now() - make_interval(secs => %(published)s)
        from version, cut, generation
        where %(published)s::float8 is not null and generation.state = %(generation)s
        """,
        {
            "name": name,
            "modified": modified_s,
            "published": published_s,
            "generation": generation,
        },
    )
    conn.execute(
        "update document set version_id = document_version.id from document_version"
        " where document_id = document.id"
    )


def test_nothing_is_late_in_an_empty_collection(conn: Connection, docs: Collection) -> None:
    found = measure(conn, docs, load_settings(), 0)

    assert (found.documents, found.waiting, found.measured, found.p95_s) == (0, 0, 0, None)
    assert found.unseen_s == pytest.approx(10, abs=2)


def test_lags_are_from_change_to_search(conn: Connection, docs: Collection) -> None:
    for number in range(101):
        put(conn, f"{number}", 1000 + number, 1000)
    put(conn, "old", 9 * 86_400, 10)  # before the window
    put(conn, "waits", 300, None)

    found = measure(conn, docs, load_settings(), 0)

    assert (found.documents, found.waiting, found.measured) == (103, 1, 101)
    assert (found.p50_s, found.p95_s, found.p99_s) == pytest.approx((50, 95, 99), abs=0.1)
    assert found.waiting_s == pytest.approx(300, abs=2)


def test_files_older_than_the_binding_are_late_from_then_on(
    conn: Connection, docs: Collection
) -> None:
    conn.execute("update source set created_at = now() - interval '100 seconds'")
    put(conn, "ancient", 9e8, 40)

    assert measure(conn, docs, load_settings(), 0).p50_s == pytest.approx(60, abs=2)


def test_what_failed_for_good_is_counted_and_not_waited_for(
    conn: Connection, docs: Collection
) -> None:
    put(conn, "bad", 9_000, None)
    conn.execute(
        "insert into dead_letter (document_id, version_id, stage, kind, code, reason, attempts)"
        " select id, version_id, 'parse', 'poison', 'x', 'x', 3 from document"
    )
    found = measure(conn, docs, load_settings(), 0)
    assert (found.waiting, found.failed, found.waiting_s) == (0, 1, 0)

    conn.execute("update dead_letter set kind = 'transient'")
    assert measure(conn, docs, load_settings(), 0).waiting == 1


def test_a_source_that_was_never_seen_whole_ages_from_its_binding(
    conn: Connection, docs: Collection
) -> None:
    conn.execute("update source set listed_at = null")

    assert measure(conn, docs, load_settings(), 0).unseen_s == pytest.approx(864_000, abs=2)


def test_a_collection_may_have_an_objective_of_its_own(conn: Connection, docs: Collection) -> None:
    def objective() -> Objective:
        return measure(conn, docs, load_settings()).objective

    assert objective() == Objective(7_200, 21_600)

    freshness.set_objective(conn, docs.id, 5, 50)
    assert objective() == Objective(5, 50)

    freshness.drop_objective(conn, docs.id)
    assert objective() == Objective(7_200, 21_600)


def test_percentiles_are_told_against_the_objective(conn: Connection, docs: Collection) -> None:
    for number in range(10):
        put(conn, f"{number}", 1_100 + 10 * number, 1_100)
    freshness.set_objective(conn, docs.id, 75, 600)

    found = measure(conn, docs, load_settings())

    assert (found.measured, found.in_time) == (10, 8)
    assert percentiles(found) == (
        "p50 45 s p95 1.4 min p99 1.5 min from change to search, 80.0% of 10 changes within "
        "1.2 min (seven days)."
    )


def test_all_collections_are_measured_at_once(conn: Connection, docs: Collection) -> None:
    other = collections.create_collection(conn, CollectionName.parse("acme/other"))
    put(conn, "waits", 300, None)
    settings = load_settings()

    found = dict(measure_all(conn, settings))

    assert [str(name) for name in found] == ["acme/docs", "acme/other"]
    assert [each.waiting for each in found.values()] == [1, 0]
    assert [each.documents for each in found.values()] == [
        measure(conn, each, settings).documents for each in (docs, other)
    ]
