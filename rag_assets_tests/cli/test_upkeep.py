"""Forgetting, tracing, sweeping, and taking text out and in as CSV."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.model import CollectionName
from rag.store import collections
from rag_assets_tests.ingest.harness import Harness

pytestmark = pytest.mark.slow

NAME = "acme/docs"


@pytest.fixture
def harness(conn, database_url, tmp_path: Path) -> Harness:
    """A collection that serves two documents."""
    made = Harness(conn, database_url, tmp_path)
    made.source.put("plan.txt", b"# The plan\n\nThe secret plan.")
    made.source.put("menu.txt", b'Soup | salad\n\n"Bread"')
    made.run()
    return made


@pytest.fixture
def plan(harness: Harness) -> str:
    return harness.source.uri + "plan.txt"


def test_forgetting_prints_a_receipt_with_nothing_left(rag_with_database, harness, plan):
    answer = rag_with_database("forget", NAME, plan, "--yes", "--json")

    assert answer.code == 0
    assert answer.json["document"] == plan
    assert answer.json["removed"]["documents"] == 1
    assert set(answer.json["left"].values()) == {0}
    assert [hit.document for hit in harness.search("secret plan menu soup").hits] == ["menu.txt"]


def test_forgetting_shows_people_what_was_removed_and_what_is_left(rag_with_database, plan):
    text = rag_with_database("forget", NAME, plan, "-y").out

    assert "1 search rows" in text
    assert "left, by query: 0 documents" in text


@pytest.mark.parametrize(("typed", "hits"), [("n\n", 2), ("", 2), ("y\n", 1)])
def test_forgetting_asks_first(rag_with_database, harness, plan, typed, hits, monkeypatch):
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO(typed))

    answer = rag_with_database("forget", NAME, plan)

    assert f"Erase {plan}" in answer.err
    assert answer.code == (0 if hits == 1 else 130)
    assert len(harness.search("plan soup").hits) == hits


@pytest.mark.parametrize("command", [["forget", "--yes"], ["lineage"]])
def test_an_unknown_document_is_named(rag_with_database, harness, command):
    answer = rag_with_database(command[0], NAME, "fake://bucket/none.txt", *command[1:], "--json")

    assert (answer.code, answer.json["code"]) == (1, "document_not_found")


def test_a_chunk_is_traced_to_object_configurations_and_runs(rag_with_database, harness, plan):
    (chunk,) = rag_with_database("lineage", NAME, plan, "--chunk", "0", "--json").json["chunks"]

    assert chunk["etag"] == harness.source.objects["plan.txt"][1]
    assert chunk["is_live"] is True
    assert {chunk[f"{step}_by_run"] for step in ("registered", "parsed", "cut", "published")} == {
        "run-1"
    }
    text = rag_with_database("lineage", NAME, plan).out
    for shown in (chunk["content_hash"], chunk["parser"], chunk["model"], "run-1", "chunk 0"):
        assert shown in text


def test_a_chunk_that_is_not_there_is_named(rag_with_database, plan):
    answer = rag_with_database("lineage", NAME, plan, "--chunk", "99", "--json")

    assert (answer.code, answer.json["code"]) == (1, "chunk_not_found")


def test_sweeping_spares_what_is_younger_than_the_retention(rag_with_database, harness):
    harness.source.delete("menu.txt")
    harness.run()

    kept = rag_with_database("sweep", "--json").json
    gone = rag_with_database("sweep", "--older-than", "0", "--json").json

    assert kept == {
        "older_than_days": 7.0,
        "removed": {"generations": 0, "parsed": 0, "embeddings": 0},
    }
    assert gone["removed"] == {"generations": 0, "parsed": 1, "embeddings": 1}
    assert "Removed 0 retired generations" in rag_with_database("sweep").out


def test_exported_documents_come_back_when_they_are_imported(rag_with_database, harness, tmp_path):
    file = tmp_path / "all.csv"

    answer = rag_with_database("export-csv", NAME, str(file), "--json")

    assert answer.json["documents"] == 2
    assert file.read_text(encoding="utf-8") == (
        "title|source|text\n"
        '|fake://bucket/menu.txt|"Soup | salad\n\n""Bread"""\n'
        "The plan|fake://bucket/plan.txt|The secret plan.\n"
    )
    from rag.sources.csv_file import CsvSource, uri_of_csv

    listing = CsvSource(uri_of_csv(file)).list()
    assert (len(listing.objects), listing.is_complete) == (2, True)


def test_an_export_that_can_not_be_written_leaves_nothing(rag_with_database, harness, tmp_path):
    answer = rag_with_database("export-csv", NAME, str(tmp_path / "none" / "all.csv"), "--json")

    assert (answer.code, answer.json["code"]) == (1, "csv_not_written")


def test_an_import_without_a_header_makes_no_collection(rag_with_database, tmp_path):
    (tmp_path / "all.csv").write_text("A|a|text\n")

    answer = rag_with_database("import-csv", str(tmp_path / "all.csv"), "-c", NAME, "--json")

    assert (answer.code, answer.json["code"]) == (1, "csv_header_missing")
    assert rag_with_database("collection", "list", "--json").json["collections"] == []


def test_a_source_says_which_of_its_objects_are_taken(rag_with_database, conn, tmp_path):
    rag = rag_with_database
    (tmp_path / "docs" / "drafts").mkdir(parents=True)
    for name in ("a.md", "b.txt", "drafts/c.md", "large.md"):
        (tmp_path / "docs" / name).write_text("x" * (500 if name == "large.md" else 5))
    folder = str(tmp_path / "docs")
    choice = ["--include", "*.md", "--exclude", "drafts/**", "--max-bytes", "100"]

    rag("collection", "create", NAME, "--source", folder, *choice)

    (source,) = rag("plan", NAME, "--json").json["sources"]
    assert [item["uri"].rpartition("/")[2] for item in source["objects"]] == ["a.md"]
    assert "only *.md, not drafts/**, at most 100 bytes" in rag("collection", "show", NAME).out
    changed = rag("collection", "add-source", NAME, folder, "--include", "*.txt", "--json").json
    assert changed["options"] == {"includes": ["*.txt"]}
    (source,) = rag("plan", NAME, "--json").json["sources"]
    assert [item["uri"].rpartition("/")[2] for item in source["objects"]] == ["b.txt"]


def test_naming_a_source_again_keeps_its_choice(rag_with_database, conn, tmp_path):
    rag_with_database("collection", "create", NAME, "-s", str(tmp_path), "--exclude", "*.tmp")

    again = rag_with_database("collection", "add-source", NAME, str(tmp_path), "--json").json

    assert again["options"] == {"excludes": ["*.tmp"]}
    found = collections.find_collection(conn, CollectionName.parse(NAME))
    assert len(collections.list_sources(conn, found)) == 1


def test_sources_overlap_at_path_borders_only(rag_with_database):
    def add(uri: str) -> int:
        return rag_with_database("collection", "add-source", NAME, uri).code

    rag_with_database("collection", "create", NAME, "--source", "s3://bucket/docs/a.pdf")

    assert [
        add("s3://bucket/docs/a.pdf2"),
        add("s3://bucket/docs/a.pdf/more"),
        add("s3://bucket/docs"),
    ] == [
        0,
        1,
        1,
    ]
    assert [add("s3://bucket/docs2"), add("csv+file:///x/all.csv"), add("/x/all.csv")] == [0, 0, 0]
