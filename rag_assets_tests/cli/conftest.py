"""The command line as tests run it: in process, or as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rag.cli.main import run_rag

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as one JSON value: nothing else may stand there."""
        return json.loads(self.out)

    @property
    def last_json(self) -> Any:
        """The last line of standard output as JSON."""
        return json.loads(self.out.strip().splitlines()[-1])


Rag = Callable[..., Answer]


@pytest.fixture
def rag(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Rag:
    """Run `rag` in this process, with a home of the test's own."""
    monkeypatch.setenv("RAG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: str) -> Answer:
        words = list(arguments)
        capsys.readouterr()
        code = run_rag(words)
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return invoke


@pytest.fixture
def rag_with_database(rag: Rag, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Rag:
    """The same over a migrated database of the test's own."""
    monkeypatch.setenv("RAG_DATABASE_URL", database_url)
    return rag


def rag_process(*arguments: str, environment: dict[str, str], timeout_s: float = 300.0) -> Answer:
    """Run `rag` as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "rag.cli.main", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
        timeout=timeout_s,
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr)
