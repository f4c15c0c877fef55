"""Which objects of a source are taken, and what happens when that changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rag.ingest.register import register_documents
from rag.settings import Settings
from rag.sources.csv_file import uri_of_csv
from rag.sources.folder import uri_of
from rag.sources.open import open_source
from rag.store import collections, manifest
from rag_assets_tests.ingest.harness import Harness


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "docs"
    place.mkdir()
    for number in range(30):
        (place / f"{number:02d}.txt").write_text(f"text {number}")
        (place / f"{number:02d}.tmp").write_text(f"draft {number}")
    return place


def choose(harness: Harness, uri: str, **options: Any) -> None:
    """Bind the source, or change what of it is taken."""
    found = collections.find_collection(harness.conn, harness.name)
    collections.add_source(harness.conn, found, uri, **options)


def register(harness: Harness) -> dict[str, int]:
    """The first stage of a run over the real adapters; the fake source beside them is empty."""

    def opened(uri: str, **options: Any) -> Any:
        if uri == harness.source.uri:
            return harness.source
        return open_source(uri, Settings(), **options)

    shop = replace(harness.shop(), open_source=opened)
    return register_documents(shop, harness.shard).counts


def test_only_chosen_objects_become_documents(harness: Harness, folder: Path) -> None:
    (folder / "large.txt").write_text("x" * 100)
    choose(harness, uri_of(folder) + "/", includes=["*.txt"], excludes=["0*"], max_bytes=50)

    assert register(harness)["new"] == 20


def test_an_access_list_larger_than_its_source_takes_still_guards_its_document(
    harness: Harness, folder: Path
) -> None:
    (folder / "board.md").write_text("x")
    (folder / "board.md.acl.json").write_text('{"principals": ["board"]}' + " " * 50)
    choose(harness, uri_of(folder) + "/", includes=["*.md"], max_bytes=50)

    counts = register(harness)

    assert (counts["new"], counts["access_lists"]) == (1, 1)
    row = harness.conn.execute("select principals from document").fetchone()
    assert row == {"principals": ["board"]}


def test_a_new_exclude_deletes_through_the_breaker(harness: Harness, folder: Path) -> None:
    uri = uri_of(folder) + "/"
    choose(harness, uri)
    assert register(harness)["new"] == 60
    choose(harness, uri, excludes=["*.tmp"])

    counts = register(harness)

    assert (counts["deleted"], counts["held"]) == (0, 30)
    found = collections.find_collection(harness.conn, harness.name)
    manifest.confirm_deletions(harness.conn, found.id)
    assert register(harness)["deleted"] == 30


def test_what_is_taken_again_comes_back(harness: Harness, folder: Path) -> None:
    uri = uri_of(folder) + "/"
    choose(harness, uri)
    register(harness)
    choose(harness, uri, excludes=["0*"])
    assert register(harness)["deleted"] == 20
    choose(harness, uri, includes=["*"])

    assert register(harness)["new"] == 20


def test_rows_are_chosen_by_their_names(harness: Harness, tmp_path: Path) -> None:
    file = tmp_path / "all.csv"
    file.write_text("title|source|text\nA|https://x.org/a|one\nB|https://y.org/b|two\n")
    choose(harness, uri_of_csv(file), includes=["https://x.org/**"])

    assert register(harness)["new"] == 1


def test_a_row_taken_out_of_a_csv_file_is_deleted_and_a_malformed_file_deletes_nothing(
    harness: Harness, tmp_path: Path
) -> None:
    file = tmp_path / "all.csv"
    rows = ["A|a|one\n", "B|b|two\n", "C|c|three\n"]
    file.write_text("title|source|text\n" + "".join(rows))
    choose(harness, uri_of_csv(file))
    assert register(harness)["new"] == 3
    file.write_text("title|source|text\n" + rows[0] + 'B|b|"two\n')

    assert register(harness)["deleted"] == 0

    file.write_text("title|source|text\n" + rows[0] + rows[2])
    counts = register(harness)
    assert (counts["deleted"], counts["unchanged"]) == (1, 2)


@pytest.mark.parametrize(
    ("source", "uri", "is_covered"),
    [
        ("s3://b/docs/", "s3://b/docs/a.pdf", True),
        ("s3://b/docs/", "s3://b/docs/", True),
        ("s3://b/docs/", "s3://b/docs2/a.pdf", False),
        ("s3://b/a.pdf", "s3://b/a.pdf2", False),
        ("s3://b/a.pdf", "s3://b/a.pdf/x", True),
        ("s3://b/a.pdf", "s3://b/a.pdf", True),
        ("csv+file:///a.csv", "csv+file:///a.csv#row.md", True),
        ("s3://b/docs/a.pdf", "s3://b/docs/", False),
    ],
)
def test_sources_cover_what_is_below_them_at_path_borders(
    source: str, uri: str, is_covered: bool
) -> None:
    assert collections.covers(source, uri) is is_covered
