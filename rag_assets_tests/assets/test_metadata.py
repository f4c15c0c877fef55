"""What people read on an asset's page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rag.ingest.workshop import StageReport
from rag_assets.metadata import (
    FAILURES_SHOWN,
    failures_table,
    lineage_table,
    markdown_table,
    run_table,
    stage_metadata,
)

LETTER = {
    "uri": "s3://b/a.pdf",
    "stage": "parse",
    "code": "encrypted",
    "reason": "It wants a password.",
    "attempts": 1,
    "next_retry_at": None,
}


def test_no_failures_are_called_none() -> None:
    assert failures_table([]) == "none"


def test_a_failure_shows_its_code_reason_attempts_and_next_retry() -> None:
    due = {**LETTER, "next_retry_at": datetime(2026, 1, 1, 12, tzinfo=UTC), "attempts": 2}

    assert failures_table([LETTER, due]).splitlines() == [
        "| document | stage | code | reason | attempts | next retry |",
        "| --- | --- | --- | --- | --- | --- |",
        "| s3://b/a.pdf | parse | encrypted | It wants a password. | 1 | on change |",
        "| s3://b/a.pdf | parse | encrypted | It wants a password. | 2 "
        "| 2026-01-01T12:00:00+00:00 |",
    ]


def test_more_failures_than_a_page_holds_are_counted() -> None:
    table = failures_table([LETTER] * (FAILURES_SHOWN + 7))

    assert table.endswith("… and 7 more: `rag status` lists all.")


@pytest.mark.parametrize("hostile", ["a|b", "a\nb", "<img src=x>", "`x`", "[x](javascript:1)"])
def test_a_document_can_not_break_or_mark_up_the_table(hostile: str) -> None:
    _, _, row = markdown_table(("text",), [(hostile,)]).split("\n")

    assert row.replace("\\|", "").count("|") == 2
    assert "<" not in row
    assert "`" not in row
    assert "[" not in row.replace("\\[", "")


def test_an_example_s_lineage_leads_to_its_runs_and_to_the_whole_chain() -> None:
    row = {
        "namespace": "acme", "collection": "docs", "uri": "s3://b/a [1].pdf", "ordinal": 2,
        "version_id": 7, "content_hash": "ab" * 32, "parser": "parser-1", "chunker": "chunker-2",
        "registered_by_run": "run-1", "parsed_by_run": "run-1+other", "cut_by_run": None,
    }  # fmt: skip

    _, _, line = lineage_table([row]).split("\n")

    assert line == (
        "| s3://b/a \\[1].pdf | 2 | 7 | abababababababab | parser-1 | chunker-2 "
        "| [registered](/runs/run-1), [parsed](/runs/run-1) "
        "| rag lineage acme/docs 's3://b/a \\[1].pdf' --chunk 2 |"
    )


def test_counts_are_whole_numbers_and_seconds_are_not() -> None:
    report = StageReport("chunks", {"chunks": 3, "total": 7}, seconds=1.23456, facts={"a b": "x"})

    values = {name: value.value for name, value in stage_metadata(report).items()}

    assert values == {
        "chunks": 3,
        "total": 7,
        "seconds": 1.235,
        "a_b": "x",
        "dagster/partition_row_count": 7,
        "failures": "none",
    }


def test_the_table_of_a_run_says_where_its_time_went() -> None:
    noon = datetime(2026, 5, 1, 12, tzinfo=UTC)
    stages = [
        {"stage": "chunks", "seconds": 1.0, "counts": {"chunks": 1200, "failed": 0},
         "ended_at": noon + timedelta(seconds=1)},
        {"stage": "embeddings", "seconds": 6.0, "counts": {"embedded": 1200},
         "ended_at": noon + timedelta(seconds=10)},
    ]  # fmt: skip

    assert run_table(stages).split("\n")[2:] == [
        "| chunks | 1.00 | 10% | chunks 1,200 |",
        "| embeddings | 6.00 | 60% | embedded 1,200 |",
        "| between the stages | 3.00 | 30% |  |",
    ]
