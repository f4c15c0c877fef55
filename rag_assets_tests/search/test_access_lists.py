"""Who finds what: access lists hold in every list, change at the next look, and cost nothing."""

from __future__ import annotations

import json

import pytest

from rag.errors import UnavailableError
from rag.ingest.reconcile import look
from rag.store import collections
from rag.store.manifest import Scope
from rag_assets_tests.ingest.harness import Harness

pytestmark = pytest.mark.slow


def put_list(harness: Harness, name: str, *principals: str) -> None:
    harness.source.put(f"{name}.acl.json", json.dumps({"principals": principals}).encode())


def seen_by(harness: Harness, *principals: str, mode: str = "hybrid") -> set[str]:
    found = harness.search("rope", k=20, mode=mode, principals=principals)
    return {hit.document for hit in found.hits}


@pytest.fixture
def filled(harness: Harness) -> Harness:
    harness.source.put("open.txt", b"a rope for everyone")
    harness.source.put("board.txt", b"the rope of the board")
    put_list(harness, "board.txt", "board", "eva")
    harness.run()
    return harness


@pytest.mark.parametrize("mode", ["hybrid", "rrf", "dense", "bm25"])
def test_a_list_lets_in_whom_it_names_and_operators(filled: Harness, mode: str) -> None:
    assert seen_by(filled, mode=mode) == {"open.txt"}
    assert seen_by(filled, "staff", mode=mode) == {"open.txt"}
    assert seen_by(filled, "staff", "board", mode=mode) == {"open.txt", "board.txt"}
    all_seen = filled.search("rope", k=20, mode=mode, principals=None)
    assert {hit.document for hit in all_seen.hits} == {"open.txt", "board.txt"}


def test_a_list_is_no_document(filled: Harness) -> None:
    rows = filled.conn.execute("select uri from document order by uri").fetchall()
    assert [row["uri"].rpartition("/")[2] for row in rows] == ["board.txt", "open.txt"]


def test_a_changed_list_holds_after_the_next_look_without_parsing_or_embedding(
    filled: Harness,
) -> None:
    parsed, embedded = len(filled.parser.parsed), filled.embedder.texts_embedded
    put_list(filled, "board.txt", "staff")
    put_list(filled, "open.txt", "eva")
    counts = filled.run()

    assert counts["raw_documents"]["access_lists"] == 2
    assert (len(filled.parser.parsed), filled.embedder.texts_embedded) == (parsed, embedded)
    assert seen_by(filled, "staff") == {"board.txt"}
    assert seen_by(filled, "eva") == {"open.txt"}
    assert "access_lists" not in filled.run()["raw_documents"]


def test_a_list_that_is_gone_opens_its_document_if_the_listing_is_complete(
    filled: Harness,
) -> None:
    filled.source.delete("board.txt.acl.json")
    filled.source.is_complete = False
    filled.run()
    assert seen_by(filled) == {"open.txt"}

    filled.source.is_complete = True
    filled.run()
    assert seen_by(filled) == {"open.txt", "board.txt"}


@pytest.mark.parametrize(
    "data",
    [b"{}", b"[]", b"nonsense", b'{"principals": [1]}', b'{"principals": "eva"}',
     b'{"principals": ["board", "\\ud800"]}', b'{"principals": ["board", "a\\u0000"]}',
     b'{"principals": ["\xff"]}'],
)  # fmt: skip
def test_a_broken_list_lets_nobody_in_but_operators(filled: Harness, data: bytes) -> None:
    filled.source.put("board.txt.acl.json", data)
    filled.run()

    assert seen_by(filled, "board", "eva") == {"open.txt"}
    assert len(filled.search("rope", k=9, principals=None).hits) == 2


def test_a_list_that_can_not_be_read_hides_a_new_document_until_it_can(filled: Harness) -> None:
    filled.source.put("new.txt", b"a new rope")
    put_list(filled, "new.txt", "eva")
    filled.source.errors["new.txt.acl.json"] = UnavailableError("down", code="store_down")
    filled.run()
    assert "new.txt" not in seen_by(filled, "eva")

    filled.source.errors.clear()
    filled.run()
    assert "new.txt" in seen_by(filled, "eva") and "new.txt" not in seen_by(filled)


def test_a_renamed_document_has_the_list_of_its_new_name(filled: Harness) -> None:
    filled.source.rename("board.txt", "minutes.txt")
    filled.source.rename("board.txt.acl.json", "minutes.txt.acl.json")
    filled.run()

    assert seen_by(filled) == {"open.txt"}
    assert seen_by(filled, "eva") == {"open.txt", "minutes.txt"}


def test_a_changed_list_is_work_for_the_sensor(filled: Harness) -> None:
    collection = collections.find_collection(filled.conn, filled.name)
    (row,) = collections.list_sources(filled.conn, collection)
    scope = Scope(collection.id, row["id"], (0,))
    assert look(filled.conn, scope, filled.source).is_empty

    put_list(filled, "board.txt", "staff")

    plan = look(filled.conn, scope, filled.source)
    assert not plan.is_empty and plan.counts()["access_lists"] == 1


def test_few_who_see_little_still_get_what_they_may_see(filled: Harness) -> None:
    for number in range(80):
        filled.source.put(f"{number}.txt", b"rope rope rope %d" % number)
        put_list(filled, f"{number}.txt", "board")
    filled.run()

    assert seen_by(filled, "eva") == {"open.txt", "board.txt"}
