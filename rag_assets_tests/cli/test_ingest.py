"""`rag ingest` runs the real assets, in a process of their own, on a real Dagster instance."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rag.cli.ingest import summed
from rag_assets_tests.cli.conftest import ROOT, Answer, rag_process
from rag_assets_tests.stack.processes import eventually, using

NAME = "acme/handbook"


def test_counts_of_several_shards_are_summed():
    def stage(name: str, **counts: int) -> dict[str, object]:
        return {"stage": name, "counts": counts}

    total = summed([
        stage("raw_documents", new=2, changed=1, unchanged=5, failed=1),
        stage("parsed_documents", parsed=3, failed=1),
        stage("chunks", chunks=10, total=40),
        stage("raw_documents", new=1, deleted=4),
        stage("embeddings", embedded=9),
        stage("embeddings", embedded=1),
    ])  # fmt: skip

    assert total == {
        "documents": {
            "new": 3, "changed": 1, "renamed": 0, "unchanged": 5, "deleted": 4, "failed": 2,
        },
        "parsed": 3,
        "chunks": 10,
        "embedded": 10,
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "documents"
    place.mkdir()
    words = "# Ropes\n\nThe track rope is inspected every twelve months by the rope engineer.\n"
    (place / "ropes.md").write_text(words, encoding="utf-8")
    (place / "wind.txt").write_text("The line stops at gusts of 65 km/h.\n", encoding="utf-8")
    return place


@pytest.fixture
def environment(database_url: str, temporary_home: Path) -> dict[str, str]:
    """Postgres as configured; the rest under a home of the test's own."""
    return {"RAG_DATABASE_URL": database_url, "RAG_HOME": str(temporary_home)}


def ingested(folder: Path, environment: dict[str, str]) -> Answer:
    return rag_process("ingest", str(folder), "-c", NAME, "--json", environment=environment)


@pytest.mark.slow
def test_rows_of_a_csv_file_become_documents_and_come_out_again(tmp_path, environment):
    file, out = tmp_path / "all.csv", tmp_path / "out.csv"
    rows = "Bread|https://x.org/bread|Bake for an hour.\nSoup|https://x.org/soup|Cook the leeks.\n"
    file.write_text(f"title|source|text\n{rows}title|source|text\nNone|https://x.org/none|\n")

    first = rag_process("import-csv", str(file), "-c", NAME, "--json", environment=environment)
    rag_process("export-csv", NAME, str(out), environment=environment)

    assert first.last_json["documents"]["new"] == 2
    assert first.last_json["embedded"] == 2
    assert out.read_text() == f"title|source|text\n{rows}"


@pytest.mark.slow
def test_folder_becomes_searchable_and_a_second_run_costs_nothing(folder, environment):
    first = ingested(folder, environment)
    second = ingested(folder, environment)
    found = rag_process(
        "search", NAME, "who inspects the track rope?", "--json", environment=environment
    )

    assert first.code == 0, first.err
    assert first.json["documents"]["new"] == 2
    assert first.json["parsed"] == 2
    assert first.json["embedded"] == first.json["chunks"] >= 2
    assert second.code == 0, second.err
    assert second.json["documents"]["unchanged"] == 2
    assert (second.json["parsed"], second.json["embedded"]) == (0, 0)
    assert found.json["hits"][0]["document"] == "ropes.md"
    assert "rope engineer" in found.json["hits"][0]["text"]
    assert {"page", "heading", "score", "ranks"} <= set(found.json["hits"][0])


@pytest.mark.slow
def test_failed_document_exits_with_3_and_the_rest_goes_through(folder, environment):
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing that a reader could open")

    answer = ingested(folder, environment)

    assert answer.code == 3, answer.err
    assert answer.json["documents"]["failed"] == 1
    assert answer.json["parsed"] == 2
    (shown,) = rag_process("status", NAME, "--json", environment=environment).json["collections"]
    assert shown["documents"] == {"failed": 1, "live": 2}
    assert [failure["code"] for failure in shown["failures"]] == ["corrupt_file"]


@pytest.mark.slow
def test_when_every_document_fails_the_exit_says_so(folder, environment):
    for path in folder.iterdir():
        path.unlink()
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing that a reader could open")

    answer = ingested(folder, environment)

    assert answer.code == 3, answer.err
    assert answer.json["documents"]["failed"] == 1
    assert answer.json["chunks"] == 0


@pytest.mark.slow
def test_ctrl_c_ends_with_130_and_leaves_no_process(folder, environment, temporary_home):
    for number in range(2000):  # work for much longer than it takes to interrupt it
        (folder / f"{number}.md").write_text(f"# Rope {number}\n\nIt holds.\n", encoding="utf-8")
    command = [sys.executable, "-m", "rag.cli.main", "ingest", str(folder), "-c", NAME]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    log = temporary_home / "logs" / "ingest.log"
    assert eventually(log.exists, 60)
    time.sleep(1)

    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "Interrupted." in said
    assert "Traceback" not in said
    assert eventually(lambda: not using(temporary_home))
