"""Where the parser is in a long document reaches whoever watches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import pytest

from rag.cli import stages
from rag.ingest.parse import parse_documents
from rag.ingest.register import register_documents
from rag.ports import ParseJob, ParseOutcome
from rag_assets_tests.fakes import FakeParser
from rag_assets_tests.ingest.conftest import *  # noqa: F403
from rag_assets_tests.ingest.harness import Harness
from resources import workshop


@dataclass(slots=True)
class PagedParser(FakeParser):
    """Every document has three pages."""

    def parse(self, jobs: Iterable[ParseJob]) -> Iterator[ParseOutcome]:
        for job in jobs:
            for page in (1, 2, 3):
                if job.on_page is not None:
                    job.on_page(page, 3)
            yield from FakeParser.parse(self, [job])


def test_a_run_hears_each_documents_pages_by_its_name(harness: Harness) -> None:
    harness.parser = PagedParser()
    harness.source.put("deep/manual.pdf", b"Text.")
    heard: list[tuple[str, int, int]] = []
    shop = replace(harness.shop(), on_page=lambda *at: heard.append(at))
    register_documents(shop, harness.shard)
    assert parse_documents(shop, harness.shard).counts["parsed"] == 1
    assert heard == [("manual.pdf", 1, 3), ("manual.pdf", 2, 3), ("manual.pdf", 3, 3)]


def test_the_command_line_names_the_page_beside_the_counts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with stages.followed_stages() as shown:
        shown.show("parsed_documents", 3, 9)
        shown.read("winter-manual.pdf", 12, 1210)
    assert capsys.readouterr().err == "  parse 3/9, winter-manual.pdf page 12 of 1,210\n"
    with stages.followed_stages(is_silent=True) as shown:
        shown.read("winter-manual.pdf", 12, 210)
    assert capsys.readouterr().err == ""


def test_a_page_is_shown_once_and_not_after_its_document(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "_PLAIN_EVERY_S", 0.0)
    with stages.followed_stages() as shown:
        shown.read("a.pdf", 2, 7)
        shown.show("parsed_documents", 1, 1)
    assert capsys.readouterr().err == "  a.pdf page 2 of 7\n  parse 1/1\n"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a.pdf", "a.pdf"),
        ("x" * 60 + ".pdf", "..." + "x" * 33 + ".pdf"),
        ("\x1b[31mred\n.pdf", "?[31mred?.pdf"),
    ],
)
def test_a_name_is_shown_on_one_short_line(name: str, shown: str) -> None:
    assert stages.shortened(name) == shown
    assert len(stages.shortened(name)) <= 40


def test_a_run_says_now_and_then_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(workshop.time, "monotonic", lambda: now[0])
    said: list[str] = []
    on_page = workshop.said_at_times(said.append)
    for page in range(1, 2001):
        now[0] += 0.01
        on_page("manual.pdf", page, 2000)
    assert said == [
        "parsed_documents: manual.pdf page 1,000 of 2,000",
        "parsed_documents: manual.pdf page 2,000 of 2,000",
    ]
