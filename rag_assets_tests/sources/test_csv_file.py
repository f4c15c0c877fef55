"""The rows of a CSV file as a source: the suite, and what only rows do."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Unpack

import pytest

from rag.errors import ConfigurationError, RagError, TransientError
from rag.model import SourceObject, SourceOptions
from rag.ports import Source
from rag.settings import Settings
from rag.sources.csv_file import CsvSource, uri_of_csv
from rag.sources.open import normalise_uri, open_source
from rag_assets_tests.sources.conformance import (
    ODD_NAMES,
    SelectiveSourceConformance,
    names_of,
    only,
)

HEADER = "title|source|text\n"


class CsvPlace:
    """A file of rows."""

    odd_names = (*ODD_NAMES, "a|b", 'say "x"', "https://example.org/a?b=c#d")
    sample = 'Grüße\n\x01|"'.encode()

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, str] = {}
        self._write()

    def source(self, **options: Unpack[SourceOptions]) -> Source:
        return open_source(uri_of_csv(self.path), Settings(), **options)

    def put(self, name: str, data: bytes) -> None:
        self.rows[name] = data.decode()
        self._write()

    def put_beside(self, data: bytes) -> None:
        self.path.with_name(self.path.name + "2").write_text(HEADER + "|beside|out\n")

    def delete(self, name: str) -> None:
        del self.rows[name]
        self._write()

    @contextmanager
    def failing_halfway(self) -> Iterator[None]:
        """The last row's quote is never closed."""
        kept = self.path.read_bytes()
        self.path.write_bytes(kept.rpartition(b"|")[0] + b'|"text\n')
        yield
        self.path.write_bytes(kept)

    def _write(self) -> None:
        with self.path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter="|")
            writer.writerow(["title", "source", "text"])
            writer.writerows(["", name, text] for name, text in self.rows.items())


class TestCsvSource(SelectiveSourceConformance):
    @pytest.fixture
    def place(self, tmp_path: Path) -> CsvPlace:
        return CsvPlace(tmp_path / "all.csv")

    def test_a_listing_describes_each_object(self, place: CsvPlace) -> None:  # type: ignore[override]
        """As elsewhere, but a row without a text is no document."""
        place.put("a.txt", b"12345")
        place.put("sub/b.txt", b"")
        obj = only(place.source())
        assert (obj.size_bytes, bool(obj.etag), obj.modified_at.tzinfo is None) == (5, True, False)

    def test_rows_have_no_times_and_are_taken_whatever_the_bound(self, place: CsvPlace) -> None:
        place.put("a.txt", b"12345")
        assert names_of(place.source(since="2020-01-01")) == {"a.txt"}

    def test_an_empty_object_is_fetched(self, place: CsvPlace, tmp_path: Path) -> None:  # type: ignore[override]
        place.put("empty.txt", b" \n ")
        assert names_of(place.source()) == set()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "all.csv"


def listed(path: Path) -> dict[str, SourceObject]:
    """Objects by what follows the file's address."""
    listing = CsvSource(uri_of_csv(path)).list()
    assert listing.is_complete
    return {obj.uri.partition("#")[2]: obj for obj in listing.objects}


def fetched(path: Path, obj: SourceObject, target: Path) -> str:
    CsvSource(uri_of_csv(path)).fetch(obj, target)
    return target.read_text()


def test_a_row_becomes_a_markdown_file(file: Path, tmp_path: Path) -> None:
    file.write_text(HEADER + '"The\n title"|https://x.org/a|"One ""two""\nthree | four"\n')
    obj = listed(file)["https%3A%2F%2Fx.org%2Fa.md"]
    assert fetched(file, obj, tmp_path / "got") == '# The title\n\nOne "two"\nthree | four'


def test_fused_files_repeat_their_headers(file: Path) -> None:
    file.write_text(
        HEADER + "A|a|text a\n" + HEADER + "B|b|text b\n\ufeffurl|text|title\nc|text c|C\n"
    )
    assert sorted(listed(file)) == ["a.md", "b.md", "c.md"]


def test_a_header_in_another_order_holds_for_what_follows(file: Path, tmp_path: Path) -> None:
    file.write_text(HEADER + "A|a|text a\nText|Title|URL|extra\ntext c|C|c|9\n")
    assert fetched(file, listed(file)["c.md"], tmp_path / "got") == "# C\n\ntext c"


def test_rows_keep_their_documents_when_they_are_moved(file: Path) -> None:
    rows = ["A|a|one\n", "A|a|two\n", "B||three\n", "||four\n", "||five\n"]
    file.write_text(HEADER + "".join(rows))
    before = listed(file)
    file.write_text(HEADER + "".join(reversed(rows)))
    assert listed(file) == before
    assert sorted(before) == ["B.md", "a#2.md", "a.md", "row#2.md", "row.md"]


def test_rows_that_are_equal_are_numbered(file: Path) -> None:
    file.write_text(HEADER + "A|a|one\nA|a|one\n")
    assert sorted(listed(file)) == ["a#2.md", "a.md"]


def test_an_edit_changes_its_row_only(file: Path) -> None:
    file.write_text(HEADER + "A|a|one\nB|b|two\n")
    before = listed(file)
    file.write_text(HEADER + "A|a|one, and more\nB|b|two\n")
    after = listed(file)
    assert before["b.md"] == after["b.md"]
    assert before["a.md"].etag != after["a.md"].etag


def test_a_field_of_a_megabyte_is_taken(file: Path, tmp_path: Path) -> None:
    text = "word " * 250_000
    file.write_text(f"{HEADER}A|a|{text}\n")
    assert fetched(file, listed(file)["a.md"], tmp_path / "got") == f"# A\n\n{text}"


def test_a_name_too_long_for_an_index_is_cut_and_stays_unique(file: Path) -> None:
    long = "x" * 5_000
    file.write_text(f"{HEADER}|{long}a|one\n|{long}b|two\n")
    names = list(listed(file))
    assert len(set(names)) == 2
    assert max(map(len, names)) < 300


@pytest.mark.parametrize(
    ("malformed", "taken"),
    [
        (b"B|b\n", 2),
        (b"B|b|two|three\n", 2),
        (b'B|b|"two\n', 1),
        (b'B|b|"two" three\n', 1),
        (b"B|b|\xff\xfe\n", 1),
    ],
    ids=["a cell missing", "a cell too many", "open quote", "text after a quote", "not UTF-8"],
)
def test_a_malformed_row_makes_the_listing_incomplete(
    file: Path, malformed: bytes, taken: int, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_bytes(HEADER.encode() + b"A|a|one\n" + malformed + b"C|c|three\n")
    listing = CsvSource(uri_of_csv(file)).list()
    assert (listing.is_complete, len(listing.objects)) == (False, taken)
    assert "listing_incomplete" in caplog.text


def test_a_file_that_changes_while_it_is_read_is_listed_in_part(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(HEADER + "A|a|one\n")
    states = iter([(1, 1, 1), (2, 2, 2)])
    monkeypatch.setattr("rag.sources.csv_file._state", lambda _: next(states))
    assert not CsvSource(uri_of_csv(file)).list().is_complete


@pytest.mark.parametrize("content", ["", "A|a|one\n", "name|body\nA|one\n"])
def test_a_file_without_a_header_is_refused(file: Path, content: str) -> None:
    file.write_text(content)
    with pytest.raises(ConfigurationError, match=r"title\|source\|text") as caught:
        CsvSource(uri_of_csv(file)).list()
    assert caught.value.code == "csv_header_missing"


def test_a_file_that_is_not_there_deletes_nothing(file: Path) -> None:
    with pytest.raises(TransientError, match="nothing is deleted") as caught:
        CsvSource(uri_of_csv(file)).list()
    assert caught.value.code == "csv_unreadable"


def test_addresses(tmp_path: Path) -> None:
    assert normalise_uri("csv+file:///a/../b c/all.csv") == "csv+file:///b c/all.csv"
    for wrong in ("csv+file://all.csv", "csv+file:///a/"):
        with pytest.raises(RagError) as caught:
            normalise_uri(wrong)
        assert caught.value.code == "bad_source"
