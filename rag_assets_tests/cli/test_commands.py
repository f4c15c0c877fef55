from __future__ import annotations

from pathlib import Path

import pytest

from rag.errors import PoisonError
from rag.model import CollectionName
from rag.store import collections, ledger, manifest
from rag.store.ledger import Failure
from rag.store.manifest import Scope

pytestmark = pytest.mark.slow

NAME = "acme/handbook"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "documents"
    place.mkdir()
    (place / "a.md").write_text("# A\n\nSome words.\n", encoding="utf-8")
    (place / "b.md").write_text("# B\n\nOther words.\n", encoding="utf-8")
    return place


@pytest.fixture
def failed_document(rag_with_database, conn, folder) -> str:
    """A document of NAME with an open failure."""
    rag_with_database("collection", "create", NAME, "--source", str(folder))
    found = collections.find_collection(conn, CollectionName.parse(NAME))
    source_id = collections.list_sources(conn, found)[0]["id"]
    uri = f"file://{folder}/a.md"
    ids = manifest.upsert_documents(conn, Scope(found.id, source_id, (0,)), 0, [uri])
    error = PoisonError("The file is damaged: replace it.", code="corrupt_file")
    ledger.file_dead_letters(conn, [(Failure(ids[uri], None, uri, "fetch", error, 2), None)])
    return uri


def test_created_collection_is_listed_and_shown(rag_with_database, folder):
    rag = rag_with_database

    made = rag("collection", "create", NAME, "--source", str(folder), "--shards", "2", "--json")

    uri = f"file://{folder}/"
    assert made.json["sources"] == [uri]
    (listed,) = rag("collection", "list", "--json").json["collections"]
    assert (listed["namespace"], listed["name"], listed["sources"]) == ("acme", "handbook", [uri])
    shown = rag("collection", "show", NAME, "--json").json
    assert (shown["shards"], shown["documents"], shown["generations"]) == (2, {}, [])
    assert uri in rag("collection", "show", NAME).out


def test_name_that_is_taken_is_refused(rag_with_database):
    rag_with_database("collection", "create", NAME)

    again = rag_with_database("collection", "create", NAME, "--json")

    assert (again.code, again.json["code"]) == (1, "collection_exists")


def test_refused_source_leaves_no_collection_behind(rag_with_database, folder):
    inside = str(folder / "sub")

    answer = rag_with_database("collection", "create", NAME, "-s", str(folder), "-s", inside)

    assert answer.code == 1
    assert "overlapping_source" in answer.err
    assert rag_with_database("collection", "list", "--json").json["collections"] == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["collection", "create", "no-slash"], "bad_name"),
        (["collection", "create", NAME, "--language", "klingon"], "unknown_language"),
        (["collection", "create", NAME, "--source", "ftp://host/x"], "unknown_source"),
        (["collection", "show", "acme/none"], "collection_not_found"),
        (["status", "acme/none"], "collection_not_found"),
        (["plan", "acme/none"], "collection_not_found"),
        (["retry", "acme/none"], "collection_not_found"),
        (["confirm-deletions", "acme/none"], "collection_not_found"),
        (["search", "acme/none", "words", "--mode", "bm25"], "collection_not_found"),
        (["search", NAME, "  ", "--mode", "bm25"], "empty_query"),
        (["ingest", "--collection", "acme/none"], "collection_not_found"),
        (["ingest", "/no/such/folder", "--collection", NAME], "folder_not_found"),
    ],
)
def test_what_can_not_be_done_is_one_clear_line(rag_with_database, arguments, code):
    answer = rag_with_database(*arguments, "--json")

    assert answer.code == 1
    assert answer.json["code"] == code
    assert answer.err.startswith("Cannot proceed: ")
    assert answer.err.count("\n") == 1


def test_refused_ingest_makes_no_collection(rag_with_database):
    rag_with_database("ingest", "/no/such/folder", "--collection", NAME)

    assert rag_with_database("collection", "list", "--json").json["collections"] == []


def test_plan_names_the_work_and_does_none_of_it(rag_with_database, folder):
    rag_with_database("collection", "create", NAME, "--source", str(folder))

    first, second = (rag_with_database("plan", NAME, "--json").json for _ in range(2))

    assert first == second
    (source,) = first["sources"]
    assert (source["new"], source["is_empty"], source["is_complete"]) == (2, False, True)
    assert [item["uri"][-4:] for item in source["objects"]] == ["a.md", "b.md"]
    assert "2 new" in rag_with_database("plan", NAME).out


def test_search_in_an_empty_collection_has_no_hits(rag_with_database):
    rag_with_database("collection", "create", NAME)

    answer = rag_with_database("search", NAME, "words", "--mode", "bm25", "--json")

    assert answer.code == 0
    assert (answer.json["hits"], answer.json["generation"]) == ([], None)


def test_status_names_a_failure_with_code_and_reason(rag_with_database, failed_document):
    (shown,) = rag_with_database("status", NAME, "--json").json["collections"]

    assert shown["documents"] == {"failed": 1}
    (failure,) = shown["failures"]
    assert (failure["uri"], failure["code"]) == (failed_document, "corrupt_file")
    text = rag_with_database("status").out
    assert "corrupt_file" in text
    assert "The file is damaged: replace it." in text


def test_retry_makes_a_failure_due_once(rag_with_database, failed_document):
    rag = rag_with_database

    assert rag("retry", NAME, "--document", failed_document, "--json").json["due"] == 1
    assert rag("retry", NAME, "--json").json["due"] == 0
    assert rag("retry", NAME, "--document", failed_document, "--json").json["code"] == (
        "no_such_failure"
    )


def test_held_deletions_are_shown_until_they_are_confirmed(
    rag_with_database, conn, failed_document
):
    rag = rag_with_database
    conn.execute("update source set breaker_since = now(), breaker_documents = 30")

    assert "30 deletions held back" in rag("status", NAME).out
    (confirmed,) = rag("confirm-deletions", NAME, "--json").json["confirmed"]
    assert confirmed["documents"] == 30
    assert "held back since" not in rag("status", NAME).out


def test_migrate_brings_a_schema_and_then_says_there_is_nothing_to_do(
    rag, empty_database, monkeypatch
):
    monkeypatch.setenv("RAG_DATABASE_URL", empty_database)

    before = rag("status", "--json")
    first = rag("migrate", "--json")
    second = rag("migrate", "--json")

    assert (before.code, before.json["code"]) == (1, "not_migrated")
    assert first.json["applied"]
    assert second.json["applied"] == []
    assert rag("status", "--json").json == {"collections": []}
