"""The README's first command, as a newcomer sees it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.cli.demo_report import Outcome, show_documents
from rag.cli.ingest import summed
from rag.cli.samples import demo_questions, samples_folder, upload_samples
from rag.cli.waiting import Current
from rag.sources.s3 import s3_client
from rag_assets_tests.cli.conftest import rag_process
from rag_assets_tests.stack.processes import eventually, using


def test_samples_hold_three_demo_questions():
    assert len(demo_questions(samples_folder())) == 3


@pytest.mark.slow
def test_samples_are_sent_only_when_absent_or_changed(s3_server, monkeypatch, tmp_path):
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    client = s3_client(s3_server.endpoint_url, s3_server.region)
    documents = tmp_path / "documents"
    documents.mkdir()
    (documents / "a.txt").write_text("one", encoding="utf-8")
    (documents / "b.txt").write_text("two", encoding="utf-8")

    first = upload_samples(client, tmp_path)
    second = upload_samples(client, tmp_path)
    (documents / "b.txt").write_text("two, changed", encoding="utf-8")
    third = upload_samples(client, tmp_path)

    assert [upload.sent for upload in (first, second, third)] == [2, 0, 1]
    assert third.total == 2


@pytest.mark.parametrize(
    ("unchanged", "parsed", "said"),
    [
        (None, 0, "Nothing changed: 0 parsed, 0 embedded. The sensor looked (nothing new), so no"),
        (32, 0, "Nothing changed: 0 parsed, 0 embedded. A run on Dagster's schedule looked, and"),
        (31, 1, "1 changed, 31 unchanged: 1 parsed, 2 chunks, 2 embedded; 3 s from bucket"),
    ],
)
def test_a_scheduled_run_that_found_nothing_is_no_change(unchanged, parsed, said, capsys):
    stages = [] if unchanged is None else ran(unchanged, parsed)
    counts = summed(stages)
    current = Current("nothing new.", ())
    show_documents(Outcome("demo/samples", [], stages, counts, current, seconds=3.0))

    assert said in " ".join(capsys.readouterr().out.split())


def ran(unchanged: int, parsed: int) -> list[dict[str, object]]:
    """The stages of one run, as the ledger keeps them."""
    did = {
        "raw_documents": {"changed": parsed, "unchanged": unchanged},
        "parsed_documents": {"parsed": parsed},
        "chunks": {"documents": parsed, "chunks": 2 * parsed},
        "embeddings": {"embedded": 2 * parsed},
        "search_index": {"documents": parsed},
    }
    return [{"stage": stage, "counts": counts, "seconds": 0.1} for stage, counts in did.items()]


@pytest.mark.slow
def test_demo_indexes_everything_then_proves_that_nothing_changed(temporary_home: Path):
    environment = {"RAG_HOME": str(temporary_home)}

    first = rag_process("demo", "--json", environment=environment, timeout_s=900)
    assert first.code == 0, first.err
    assert eventually(lambda: not using(temporary_home))
    second = rag_process("demo", environment=environment, timeout_s=300)

    shown = first.last_json
    attached = [row for row in shown["table"] if "#attachment=" in row["uri"]]
    assert shown["documents"]["new"] == len(shown["table"]) - len(attached) >= 20
    assert len(attached) == 1
    states = {row["state"] for row in shown["table"]}
    assert states == {"live", "failed"}
    assert {row["code"] for row in shown["table"] if row["state"] == "failed"} == {
        "corrupt_file",
        "password_required",
    }
    assert [row["stage"] for row in shown["stages"]] == [
        "raw_documents", "parsed_documents", "chunks", "embeddings", "search_index",
    ]  # fmt: skip
    assert len(shown["questions"]) == 3
    assert all(question["hits"] for question in shown["questions"])
    assert second.code == 0, second.err
    assert "Nothing changed: 0 parsed, 0 embedded." in second.out
    assert eventually(lambda: not using(temporary_home))
