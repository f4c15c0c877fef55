"""Progress by page: what a child says of its own document, and no more than that."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from reportlab.pdfgen.canvas import Canvas

from rag.errors import PoisonError
from rag.parse.limits import MIB, ParseLimits
from rag.parse.ocr import OcrConfig
from rag.parse.outcomes import Extent
from rag.parse.pool import DoclingParser
from rag.parse.wire import BrokenFrame
from rag.ports import ParseJob, ParseOutcome

CHILD = Path(__file__).with_name("misbehaving_child.py")
LIMITS = ParseLimits(
    wall_s=3.0, wall_per_page_s=0, memory_bytes=300 * MIB, pages=300, recycle_after=9
)
Told = list[tuple[int, int]]


@pytest.fixture
def parser() -> Iterator[DoclingParser]:
    command = [sys.executable, str(CHILD)]
    with DoclingParser(LIMITS, workers=1, command=lambda _: command) as pool:
        yield pool


def job(folder: Path, mode: str, on_page: Callable[[int, int], None] | None = None) -> ParseJob:
    path = folder / "0.txt"
    path.write_text(mode, encoding="utf-8")
    return ParseJob(0, path, path.name, on_page=on_page)


def told_by(parser: DoclingParser, asked: ParseJob) -> tuple[Told, ParseOutcome]:
    told: Told = []
    (outcome,) = parser.parse([replace(asked, on_page=lambda *at: told.append(at))])
    return told, outcome


def long_pdf(path: Path, pages: int) -> Path:
    canvas = Canvas(str(path))
    for page in range(1, pages + 1):
        for line in range(60):
            words = " ".join(f"word{page}x{line}x{n}" for n in range(8))
            canvas.drawString(30, 20 + 13 * line, words)
        canvas.showPage()
    canvas.save()
    return path


def reports(*values: object) -> list[bytes]:
    return [json.dumps(value).encode() for value in values]


def extent(*values: object, most: int = 300) -> Extent:
    found = Extent()
    for body in reports(*values):
        found = found.after(body, most)
    return found


@pytest.mark.parametrize(
    ("said", "page", "pages"),
    [
        ([{"pages": 210}, {"page": 37}], 37, 210),
        ([{"pages": 210}, {"page": 9999}], 210, 210),
        ([{"pages": 10**30}, {"page": 5}], 5, 300),
        ([{"pages": 210}, {"page": 7}, {"page": -1}], 7, 210),
        ([{"pages": 210}, {"page": 7}, {"page": True}], 7, 210),
        ([{"pages": 210}, {"page": 7}, {"page": 1.5, "pages": "many"}], 7, 210),
        ([{"pages": 210}, {"page": 7}, {"name": "another.pdf"}], 7, 210),
        ([{"page": 7}], 7, None),
    ],
)
def test_only_whole_numbers_within_the_limits_are_believed(
    said: list[object], page: int, pages: int | None
) -> None:
    found = extent(*said)
    assert (found.page, found.pages) == (page, pages)


@pytest.mark.parametrize("body", [b"[]", b"7", b"{", b'{"page": 1, "more": "' + b"x" * 200 + b'"}'])
def test_what_is_no_short_object_ends_the_child(body: bytes) -> None:
    with pytest.raises(BrokenFrame):
        Extent().after(body, 300)


def test_two_reports_a_page_are_heard_and_endless_ones_are_not() -> None:
    found = extent(*[{"page": n % 300} for n in range(1600)])
    assert found.reports == 1600
    with pytest.raises(BrokenFrame):
        found.after(b'{"page": 1}', 300)


@pytest.mark.slow
def test_pages_of_a_long_pdf_are_told_in_order_by_the_waiting_thread(tmp_path: Path) -> None:
    path = long_pdf(tmp_path / "long.pdf", 60)
    told: Told = []
    threads: set[int] = set()

    def on_page(page: int, pages: int) -> None:
        told.append((page, pages))
        threads.add(threading.get_ident())

    with DoclingParser(workers=1, ocr=OcrConfig("off")) as pool:
        started = time.monotonic()
        (outcome,) = pool.parse([ParseJob(0, path, path.name, on_page=on_page)])
        seconds = time.monotonic() - started
    assert outcome.document is not None
    assert {pages for _, pages in told} == {60}
    pages = [page for page, _ in told]
    assert len(pages) >= 3
    assert pages == sorted(set(pages))
    assert len(pages) <= seconds / 0.25 + 1
    assert threads == {threading.get_ident()}


@pytest.mark.slow
def test_a_hanging_document_says_at_which_page(parser: DoclingParser, tmp_path: Path) -> None:
    told, outcome = told_by(parser, job(tmp_path, "stuck"))
    assert isinstance(outcome.error, PoisonError)
    assert outcome.error.code == "parse_timeout"
    assert "within 3 s at page 37 of 210: split" in outcome.error.message
    assert told == [(37, 210)]


@pytest.mark.slow
def test_the_next_document_of_a_child_starts_without_a_page(
    parser: DoclingParser, tmp_path: Path
) -> None:
    said = 'report [{"pages": 40}, {"page": 3}]'
    told, outcome = told_by(parser, job(tmp_path, said))
    assert outcome.document is not None
    assert told == [(3, 40)]
    told, outcome = told_by(parser, job(tmp_path, "hang"))
    assert told == []
    assert outcome.error is not None
    assert " at page " not in outcome.error.message


@pytest.mark.slow
def test_a_lying_child_is_heard_only_about_its_own_document_and_within_its_limits(
    parser: DoclingParser, tmp_path: Path
) -> None:
    said = [{"pages": 10**9, "key": 1, "name": "another"}, {"page": 10**9}, {"page": "12"}]
    told, outcome = told_by(parser, job(tmp_path, f"report {json.dumps(said)}"))
    assert outcome.document is not None
    assert told == [(300, 300)]


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["chatter", "long"])
def test_a_child_that_talks_without_end_loses_its_document_before_its_time(
    parser: DoclingParser, tmp_path: Path, mode: str
) -> None:
    started = time.monotonic()
    told, outcome = told_by(parser, job(tmp_path, mode))
    assert outcome.error is not None
    assert outcome.error.code == "parser_crashed"
    assert "reports more than it reads" in outcome.error.message
    assert len(told) <= 1
    assert time.monotonic() - started < LIMITS.wall_s
    assert told_by(parser, job(tmp_path, "good"))[1].document is not None


@pytest.mark.slow
def test_an_error_of_the_listener_reaches_who_waits(parser: DoclingParser, tmp_path: Path) -> None:
    def fails(page: int, pages: int) -> None:
        raise LookupError(f"{page} of {pages}")

    asked = job(tmp_path, 'report [{"pages": 4}, {"page": 3}, {}]', fails)
    with pytest.raises(LookupError, match="3 of 4"):
        list(parser.parse([asked]))
