"""The postings say what the served texts say, whatever happened to the documents."""

from __future__ import annotations

import random
import tracemalloc

import pytest

from rag.store import collections, postings, retention
from rag_assets_tests.ingest.harness import ACME, Harness

pytestmark = pytest.mark.slow

_PLACES = """
    select posting.lexeme, publication.document_id,
        entry.slot - publication.first_slot as ordinal, entry.times
    from posting
    cross join generate_series(0, octet_length(entries) / 8 - 1) as at
    cross join lateral (select
        get_byte(entries, at * 8) + get_byte(entries, at * 8 + 1) * 256 as slot,
        get_byte(entries, at * 8 + 4) as times) as entry
    left join publication on publication.segment_id = posting.segment_id
        and entry.slot >= publication.first_slot
        and entry.slot < publication.first_slot + publication.chunk_count"""
_FROM_TEXT = """
    select publication.document_id, chunk.ordinal, chunk.context || chunk.text as text
    from publication join chunk using (chunk_set_id)"""


def indexed(harness: Harness) -> dict[tuple[str, int, int], int]:
    """How often each word is in each served row, as the postings say; dead rows left out."""
    rows = harness.conn.execute(_PLACES).fetchall()
    return {
        (row["lexeme"], row["document_id"], row["ordinal"]): row["times"]
        for row in rows
        if row["document_id"] is not None
    }


def true_words(harness: Harness) -> dict[tuple[str, int, int], int]:
    """The same, from the served texts."""
    from rag.words import words_of

    found: dict[tuple[str, int, int], int] = {}
    for row in harness.conn.execute(_FROM_TEXT).fetchall():
        words = words_of(row["text"])
        known = postings.lexemes(harness.conn, "english", words)
        for word in words:
            if word in known:
                key = (known[word], row["document_id"], row["ordinal"])
                found[key] = found.get(key, 0) + 1
    return found


def assert_true(harness: Harness) -> None:
    """Postings and statistics equal what is served."""
    assert indexed(harness) == true_words(harness)
    (counted,) = harness.conn.execute(
        "select coalesce(sum(rows), 0) as rows, coalesce(sum(words), 0) as words from segment"
    ).fetchall()
    assert counted["words"] == sum(true_words(harness).values())
    (served,) = harness.conn.execute("select count(*) as rows from search_row").fetchall()
    assert counted["rows"] == served["rows"]


def test_postings_follow_edits_deletions_and_renames(harness: Harness) -> None:
    source = random.Random(3)
    words = ["rope", "pump", "cabin", "LW-7/1", "wind", "the", "bearing"]
    for step in range(24):
        name = f"{source.randrange(6)}.txt"
        if name in harness.source.objects and source.random() < 0.4:
            harness.source.delete(name)
        else:
            text = " ".join(source.choices(words, k=source.randint(1, 90)))
            harness.source.put(name, text.encode())
        if step % 3 == 2:
            harness.run()
            assert_true(harness)
    assert indexed(harness)


@pytest.mark.parametrize("moved_bytes", [1, 1024**2])
def test_many_small_publishes_merge_into_few_segments(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, moved_bytes: int
) -> None:
    monkeypatch.setattr(postings, "_MOVED_BYTES", moved_bytes)
    for number in range(20):
        harness.source.put(f"{number}.txt", b"haul rope of number %d" % number)
        harness.run()

    (row,) = harness.conn.execute("select count(*) as segments from segment").fetchall()
    assert 1 < row["segments"] < 8
    assert_true(harness)
    assert len(harness.search("haul rope", mode="bm25", k=30).hits) == 20


_CROWD = """
    with made as (
        insert into segment (generation_id, shard, slots, rows, words)
        select generation_id, shard, 2500, 0, 0 from segment, generate_series(1, 8)
        returning id)
    insert into posting (segment_id, lexeme, entries)
    select made.id, 'word' || n, decode(repeat('0900000001000900', 2500), 'hex')
    from made, generate_series(1, 100) as n"""


def test_a_merge_holds_a_part_of_the_postings_at_a_time(harness: Harness) -> None:
    harness.source.put("a.txt", b"the haul rope")
    harness.run()
    harness.conn.execute(_CROWD)  # 16 MB
    ids = [row["id"] for row in harness.conn.execute("select id from segment").fetchall()]

    tracemalloc.start()
    try:
        with harness.conn.transaction():
            postings.merge(harness.conn, ids)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert len(ids) == 9
    assert most < 10e6
    assert_true(harness)


def test_no_word_of_an_erased_document_is_left(harness: Harness) -> None:
    harness.source.put("secret.txt", b"the word is xyzzyplugh")
    harness.source.put("other.txt", b"nothing of it here")
    harness.run()
    harness.source.put("secret.txt", b"the word was changed to quuxfrob")
    harness.run()
    held = "select count(*) as n from posting where lexeme in ('xyzzyplugh', 'quuxfrob')"
    assert harness.conn.execute(held).fetchall()[0]["n"] == 2  # one is of a dead row

    collection = collections.find_collection(harness.conn, ACME)
    retention.erase(harness.conn, collection, harness.source.uri + "secret.txt")

    assert harness.conn.execute(held).fetchall()[0]["n"] == 0
    assert_true(harness)


def test_a_dropped_generation_takes_its_postings_along(harness: Harness) -> None:
    harness.source.put("a.txt", b"some text")
    harness.run()
    for name in ("second", "third"):
        harness.embedder.config["model"] = name
        harness.run()
    retention.sweep(harness.conn, 0.0)

    rows = harness.conn.execute(
        "select count(distinct segment.id) as segments, count(*) as generations,"
        " (select count(*) from posting where not exists"
        "   (select from segment where segment.id = segment_id)) as orphans"
        " from generation left join segment on segment.generation_id = generation.id"
    ).fetchall()
    assert rows == [{"segments": 2, "generations": 2, "orphans": 0}]


@pytest.mark.parametrize(
    "query", ["LW-2024/117", "lw-2024/117", "ERR_0x80", "ops@peak.example", "12.5-A", "v2.10.1"]
)
def test_a_code_finds_itself_first(harness: Harness, query: str) -> None:
    near = b"LW-2024/118 LW-2023/117 ERR_0x81 ops@hill.example 12.5-B v2.10.2 117 2024 0x80 peak"
    harness.source.put("near.txt", near * 3)
    harness.source.put("exact.txt", f"The part is {query}, as ordered.".encode())
    harness.run()

    assert harness.search(query, mode="bm25").hits[0].document == "exact.txt"


@pytest.mark.parametrize("query", ["the of and", "?!", "---"])
def test_a_question_of_stop_words_has_an_empty_lexical_list(harness: Harness, query: str) -> None:
    harness.source.put("a.txt", b"the haul rope of the cable car and the pump")
    harness.run()

    assert harness.search(query, mode="bm25").hits == ()
    assert harness.search(query).hits[0].ranks == {"dense": 1}


def test_words_are_stemmed_in_the_collections_language(harness: Harness) -> None:
    harness.source.put("a.txt", b"Die Seile der Kabinen wurden inspiziert")
    harness.run()
    assert harness.search("kabine", mode="bm25").hits == ()

    harness.conn.execute("update collection set language = 'german'")
    harness.source.put("b.txt", b"Die Seile der anderen Kabinen")
    harness.run()

    assert [hit.document for hit in harness.search("kabine", mode="bm25").hits] == ["b.txt"]
