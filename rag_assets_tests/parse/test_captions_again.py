"""What could not be described because the endpoint was away is tried again on request, and serves
as it is until then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest

from rag.parse.ocr import OcrConfig
from rag.parse.pool import DoclingParser
from rag.ports import ParseJob, ParseOutcome
from rag.store import ledger, retention
from rag.store.collections import find_collection
from rag_assets_tests.fakes import FakeParser
from rag_assets_tests.ingest.conftest import *  # noqa: F403
from rag_assets_tests.ingest.harness import ACME, Harness
from rag_assets_tests.parse.test_captions import (
    SAYS,
    Endpoint,
    endpoint,  # noqa: F401 - a fixture
    pdf,
    picture,
    reply,
    says,
)
from rag_assets_tests.world import assert_world_is_sound, served

CABIN = "[Image] A red cabin."


@dataclass(slots=True)
class DescribingParser(FakeParser):
    """Every document ends with a picture, described while the endpoint is up."""

    is_up: bool = False

    def parse(self, jobs: Iterable[ParseJob]) -> Iterator[ParseOutcome]:
        for outcome in FakeParser.parse(self, jobs):
            if outcome.document is None:
                yield outcome
            elif self.is_up:
                text = f"{outcome.document.text}\n\n{CABIN}"
                yield replace(outcome, document=replace(outcome.document, text=text))
            else:
                lacking = {"captions_missing": "1"}
                document = replace(outcome.document, is_partial=True, metadata=lacking)
                yield replace(outcome, document=document)


@pytest.fixture
def parser(harness: Harness) -> DescribingParser:
    """The harness's parser; two documents are served without their pictures' descriptions."""
    made = DescribingParser()
    harness.parser = made
    harness.source.put("a.md", b"Frost at the station.")
    harness.source.put("b.md", b"Wind at the summit.")
    harness.run()
    made.parsed.clear()
    return made


def retry(harness: Harness, uri: str | None = None) -> int:
    return ledger.retry(harness.conn, find_collection(harness.conn, ACME).id, uri)


def texts(harness: Harness) -> list[str]:
    return sorted(served(harness.conn, str(ACME)).values())


def states(harness: Harness) -> list[str]:
    rows = harness.conn.execute("select state from document_status order by uri").fetchall()
    return [row["state"] for row in rows]


def test_nothing_is_parsed_again_that_nobody_asked_for(
    harness: Harness, parser: DescribingParser
) -> None:
    parser.is_up = True
    harness.run()
    assert parser.parsed == []
    assert states(harness) == ["partial", "partial"]


def test_a_retry_parses_anew_and_the_old_text_serves_until_then(
    harness: Harness, parser: DescribingParser
) -> None:
    before = texts(harness)
    assert retry(harness) == 2
    assert texts(harness) == before == ["Frost at the station.", "Wind at the summit."]
    assert_world_is_sound(harness.conn)
    parser.is_up = True
    counts = harness.run()
    assert sorted(parser.parsed) == ["a.md", "b.md"]
    assert counts["parsed_documents"]["parsed"] == 2
    assert counts["search_index"]["served_documents"] == 2
    assert all(CABIN in text for text in texts(harness))
    assert len(texts(harness)) == 2
    assert states(harness) == ["live", "live"]
    assert_world_is_sound(harness.conn)
    assert retry(harness) == 0


def test_an_endpoint_that_is_still_away_changes_nothing_but_may_be_tried_again(
    harness: Harness, parser: DescribingParser
) -> None:
    before = texts(harness)
    for _ in range(2):
        assert retry(harness) == 2
        counts = harness.run()
        assert counts["parsed_documents"]["documents"] == 2
        assert texts(harness) == before
        assert states(harness) == ["partial", "partial"]
        assert_world_is_sound(harness.conn)


def test_one_document_can_be_asked_for(harness: Harness, parser: DescribingParser) -> None:
    row = harness.conn.execute("select uri from document where uri like '%a.md'").fetchone()
    assert row is not None
    assert retry(harness, row["uri"]) == 1
    parser.is_up = True
    harness.run()
    assert parser.parsed == ["a.md"]
    assert states(harness) == ["live", "partial"]


def test_a_document_that_breaks_at_the_second_parse_stays_as_it_was(
    harness: Harness, parser: DescribingParser
) -> None:
    from rag.errors import PoisonError

    before = texts(harness)
    retry(harness)
    parser.errors["a.md"] = PoisonError("It broke.", code="parser_crashed")
    parser.is_up = True
    counts = harness.run()
    assert counts["parsed_documents"]["failed"] == 1
    assert states(harness) == ["failed", "live"]
    assert before[0] in texts(harness)
    assert_world_is_sound(harness.conn)


def test_what_was_replaced_is_swept(harness: Harness, parser: DescribingParser) -> None:
    retry(harness)
    count = "select count(*) as n from parsed"
    parser.is_up = True
    retention.sweep(harness.conn, 0)
    assert harness.conn.execute(count).fetchall() == [{"n": 2}]  # they serve
    harness.run()
    assert harness.conn.execute(count).fetchall() == [{"n": 4}]
    retention.sweep(harness.conn, 0)
    assert harness.conn.execute(count).fetchall() == [{"n": 2}]
    assert all(CABIN in text for text in texts(harness))
    assert_world_is_sound(harness.conn)


@pytest.mark.slow
def test_an_endpoint_that_comes_back_describes_what_it_missed(
    harness: Harness,
    endpoint: Endpoint,  # noqa: F811
    tmp_path: Path,
) -> None:
    data = pdf(tmp_path / "x.pdf", picture()).read_bytes()
    harness.source.put("x.pdf", data)
    with DoclingParser(workers=1, ocr=OcrConfig("off"), captioner=endpoint.model()) as real:
        harness.parser = cast(FakeParser, real)
        endpoint.answer = lambda handler: reply(handler, b"{}", 503)
        harness.run()
        asked = len(endpoint.seen)
        assert asked == 1
        assert texts(harness) == ["Text of page 1 stands here."]
        endpoint.answer = says(SAYS)
        harness.run()
        assert len(endpoint.seen) == asked
        assert retry(harness) == 1
        harness.run()
        assert len(endpoint.seen) == asked + 1
    assert len(texts(harness)) == 1
    assert texts(harness)[0].endswith(f"[Image] {SAYS}")
    assert states(harness) == ["live"]
