"""What a process remembers of an index makes searches cheaper, and never other than they are."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import pytest

from rag.asking import Embedders, Finder, on
from rag.model import CollectionName
from rag.search import SearchRequest, SearchResult, found_by, look
from rag.settings import Settings
from rag.store import access, lookup, question_words
from rag.store.memory import Latest, Memory
from rag_assets_tests.ingest.harness import Harness

WORDS = ("rope", "oil", "pump", "cable", "zebra", "wind", "mast", "the")


def remembered(harness: Harness, memory: Memory, query: str, **more: Any) -> SearchResult:
    """What a process with that memory finds."""
    made = request(harness, query, **more)
    with lookup.reading(harness.conn):
        found = look(harness.conn, made, memory)
    assert found is not None
    return found.result(made, None)


def request(harness: Harness, query: str, **more: Any) -> SearchRequest:
    vector = harness.embedder.embed_query(query)
    return SearchRequest(harness.name, query, vector, k=5, **{"principals": None, **more})


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every time that postings or lexemes or an outline are read on their own."""
    seen: list[object] = []
    for module, name in ((question_words, "_read_postings"), (lookup, "outline")):
        real = getattr(module, name)

        def spy(*given: Any, real: Any = real, **more: Any) -> Any:
            seen.append(real)
            return real(*given, **more)

        monkeypatch.setattr(module, name, spy)
    return seen


@pytest.mark.slow
def test_words_asked_before_are_not_read_again(harness: Harness, reads: list[object]) -> None:
    harness.source.put("rope.txt", b"The rope is inspected. The pump is not.")
    harness.run()
    memory = Memory()
    first = remembered(harness, memory, "rope pump")
    assert len(reads) == 2
    again = remembered(harness, memory, "pump rope")
    assert len(reads) == 2
    assert [hit.text for hit in again.hits] == [hit.text for hit in first.hits]
    remembered(harness, memory, "rope inspected")
    assert len(reads) == 3  # the new word only, and no outline


@pytest.mark.slow
def test_a_question_asked_before_is_not_embedded_again(harness: Harness) -> None:
    other = Harness(
        harness.conn, harness.database_url, harness.folder, CollectionName("beta", "docs"),
        embedder=harness.embedder,
    )  # fmt: skip
    for each in (harness, other):
        each.source.put("rope.txt", b"The rope is inspected. The pump is not.")
        each.run()
    finder = Finder(Embedders(Settings(), lambda settings: harness.embedder))

    def embedded(name: CollectionName, query: str) -> int:
        """How many texts were embedded for the answer, which is what it is without a memory."""
        made = replace(request(harness, query), name=name, vector=None)
        before = harness.embedder.texts_embedded
        found = finder.find(on(harness.conn), made).result
        count = harness.embedder.texts_embedded - before
        expected = found_by(harness.conn, replace(request(harness, query), name=name))
        assert found.hits == expected.hits
        return count

    assert embedded(harness.name, "rope") == 1
    assert embedded(harness.name, "rope") == 0
    assert embedded(harness.name, "pump") == 1
    assert embedded(other.name, "rope") == 1  # another tenant's question tells nothing
    harness.settings["chunk_size"] = 16
    harness.run()  # another generation may have another model
    assert embedded(harness.name, "rope") == 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_with_memory_a_search_finds_what_it_finds_without(harness: Harness, seed: int) -> None:
    source = random.Random(seed)
    memory = Memory(posting_bytes=4000)  # so little that entries come and go
    there: set[str] = set()
    compared = 0
    for _ in range(6):
        for _ in range(4):
            name = f"{source.randrange(8)}.txt"
            if source.random() < 0.3 and name in there:
                there.remove(name)
                harness.source.delete(name)
            else:
                there.add(name)
                text = " ".join(source.choices(WORDS, k=source.randrange(4, 40)))
                harness.source.put(name, text.encode())
        harness.run()
        for mode in ("hybrid", "rrf", "dense", "bm25"):
            query = " ".join(source.choices(WORDS, k=3))
            more = {"mode": mode, "max_per_document": source.choice([None, 1])}
            fresh = found_by(harness.conn, request(harness, query, **more))
            assert remembered(harness, memory, query, **more) == fresh
            compared += len(fresh.hits)
    assert compared > 20


@pytest.mark.slow
def test_a_list_that_comes_between_two_questions_holds_at_once(harness: Harness) -> None:
    harness.source.put("rope.txt", b"the rope of the board")
    harness.source.put("open.txt", b"the rope of all")
    harness.run()
    memory = Memory()
    assert len(remembered(harness, memory, "rope", principals=()).hits) == 2

    harness.source.put("rope.txt.acl.json", json.dumps({"principals": ["board"]}).encode())
    harness.run()

    hits = remembered(harness, memory, "rope", principals=()).hits
    assert [hit.document for hit in hits] == ["open.txt"]
    assert len(remembered(harness, memory, "rope", principals=("board",)).hits) == 2


@pytest.mark.slow
def test_what_a_reader_may_not_see_is_not_remembered_as_absent(harness: Harness) -> None:
    harness.source.put("rope.txt", b"the rope")
    harness.run()
    memory = Memory()
    (row,) = harness.conn.execute("select id from segment").fetchall()
    with harness.conn.transaction():
        access.become_reader(harness.conn, "another")
        assert question_words._read_postings(harness.conn, [(row["id"], "rope")], memory) == {}
    assert memory.postings([row["id"]], ["rope"]) == {}

    assert remembered(harness, memory, "rope", mode="bm25").hits


def test_entries_used_last_stay_within_the_budget() -> None:
    latest: Latest[str, int] = Latest(10)
    for name in "abc":
        latest.put(name, 1, 3)
    assert latest.get("a") == 1
    latest.put("d", 1, 4)
    assert (latest.get("b"), latest.get("a"), latest.get("d"), latest.weight) == (None, 1, 1, 10)
    latest.put("huge", 1, 11)
    assert latest.get("huge") is None and latest.weight == 0


@pytest.mark.slow
def test_a_memory_that_is_believed_unseen_would_be_noticed(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: without the comparison, a deletion and an edit are not found."""
    harness.source.put("rope.txt", b"the rope")
    harness.source.put("oil.txt", b"the oil")
    harness.run()
    memory = Memory()
    remembered(harness, memory, "zebra rope")
    harness.source.put("rope.txt", b"a zebra")
    harness.run()
    fresh = found_by(harness.conn, request(harness, "zebra", mode="bm25"))
    real = lookup.findable

    def credulous(conn: Any, begun: Any, others: Any) -> Any:
        return replace(real(conn, begun, others), outline=begun.seen.outline)

    monkeypatch.setattr(lookup, "findable", credulous)
    assert fresh.hits and remembered(harness, memory, "zebra", mode="bm25") != fresh
