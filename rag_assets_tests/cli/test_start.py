from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from rag.cli.main import build_app
from rag_assets_tests.cli.conftest import ROOT

HEAVY = (
    "torch", "docling", "dagster", "pydantic_settings", "psycopg", "boto3", "numpy", "openvino",
    "sqlalchemy", "rag.settings", "rag.store", "rag.stack",
)  # fmt: skip

_IMPORTED = """
import sys
from rag.cli.main import run_rag
run_rag(["--help"])
print("LOADED", *sorted(sys.modules))
"""


@pytest.mark.slow
def test_help_imports_nothing_that_is_heavy():
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTED], capture_output=True, text=True, check=True, cwd=ROOT
    )

    loaded = done.stdout.partition("LOADED ")[2].split()
    assert "rag.cli.main" in loaded
    assert [name for name in loaded if name.startswith(HEAVY)] == []


@pytest.mark.slow
def test_help_takes_less_than_half_a_second_of_processor_time():
    assert min(_processor_seconds_of_help() for _ in range(3)) < 0.5


def _processor_seconds_of_help() -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "rag.cli.main", "--help"]
    subprocess.run(command, capture_output=True, check=True, cwd=ROOT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize(
    "command",
    [
        "doctor", "search", "status", "plan", "lineage", "ingest", "import-csv", "export-csv",
        "backfill", "retry", "confirm-deletions", "forget", "sweep", "demo", "up", "migrate",
        "serve", "answer",
    ],
)  # fmt: skip
def test_every_command_has_json_and_help(command, rag):
    answer = rag(command, "--help")

    assert answer.code == 0
    assert "--json" in answer.out
    assert f"Usage: rag {command}" in answer.out


def test_no_command_is_missing_from_the_list_above():
    import typer

    names = set(typer.main.get_command(build_app()).commands)

    assert names == {
        "doctor", "search", "status", "plan", "lineage", "ingest", "import-csv", "export-csv",
        "backfill", "retry", "confirm-deletions", "forget", "sweep", "demo", "up", "migrate",
        "collection", "serve", "answer",
        "mcp",  # what it prints is a protocol of its own
        "key", "index", "evaluate", "alerts", "schedule", "drift",
    }  # fmt: skip
