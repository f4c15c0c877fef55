"""rag answer: a cited answer on the terminal and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import rag.cli.backend
from rag.cli.main import run_rag
from rag.store.database import Connection
from rag_assets_tests.answer.loopback import Loopback
from rag_assets_tests.fakes_embed import FakeEmbedder
from rag_assets_tests.ingest.harness import Harness

ASKED = ["answer", "How often is the haul rope inspected?", "--collection", "acme/docs"]


@pytest.fixture(autouse=True)
def filled(
    conn: Connection, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Connection:
    """A collection with one document, and the command's settings."""
    harness = Harness(conn, database_url, tmp_path)
    harness.source.put("cable.txt", b"# Cable\n\nThe haul rope is inspected every month. [3]")
    harness.run()
    monkeypatch.setenv("RAG_DATABASE_URL", database_url)
    monkeypatch.setattr(rag.cli.backend, "load_embedder", lambda settings: FakeEmbedder())
    return conn


def test_an_answer_has_its_sources(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_rag(ASKED) == 0

    shown = capsys.readouterr().out
    assert "The haul rope is inspected every month. [1]" in shown
    assert "[1] cable.txt" in shown and "RAG_LLM_BASE_URL" in shown


def test_as_json_it_is_json_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_rag([*ASKED, "--json"]) == 0

    made = json.loads(capsys.readouterr().out)
    assert made["is_answered"] and made["model"] is None
    assert [each["number"] for each in made["citations"]] == [1]


def test_a_model_writes_it_when_one_is_set(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, loopback: Loopback
) -> None:
    monkeypatch.setenv("RAG_LLM_BASE_URL", loopback.url)
    monkeypatch.setenv("RAG_LLM_MODEL", "loopback")
    loopback.say = lambda messages: "Every month [1]. As in [9]."
    assert run_rag(ASKED) == 0

    shown = capsys.readouterr().out
    assert shown.startswith("Every month [1]. As in .") and "taken out (invented_citation)" in shown


def test_what_goes_wrong_has_its_code(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_rag([*ASKED[:-1], "acme/none"]) == 1
    monkeypatch.setenv("RAG_LLM_BASE_URL", "http://127.0.0.1:9/v1")
    assert run_rag(ASKED) == 1

    errors = capsys.readouterr().err
    assert "[collection_not_found]" in errors and "[model_not_named]" in errors
