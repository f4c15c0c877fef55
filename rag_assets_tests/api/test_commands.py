"""rag key and rag serve, as a person uses them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rag.cli.key import moment_of
from rag.errors import ConfigurationError
from rag_assets_tests.cli.conftest import ROOT, Rag, rag, rag_with_database

pytestmark = pytest.mark.slow

__all__ = ["rag", "rag_with_database"]

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_key_is_shown_once_listed_by_its_prefix_and_revoked(rag_with_database: Rag) -> None:
    made = rag_with_database(
        "key", "create", "acme", "--collection", "docs", "--role", "write", "--expires", "30",
        "--json",
    ).json  # fmt: skip
    (listed,) = rag_with_database("key", "list", "--json").json["keys"]

    assert made["key"].startswith(made["prefix"] + ".")
    assert (listed["prefix"], listed["namespace"], listed["collections"], listed["role"]) == (
        made["prefix"], "acme", ["docs"], "write",
    )  # fmt: skip
    assert listed["state"] == "active" and made["key"] not in json.dumps(listed)
    assert rag_with_database("key", "revoke", made["key"]).code == 0
    assert rag_with_database("key", "list", "--json").json["keys"][0]["state"] == "revoked"


def test_an_operators_key_has_no_namespace(rag_with_database: Rag) -> None:
    assert rag_with_database("key", "create", "*", "--role", "admin").code == 0

    (listed,) = rag_with_database("key", "list", "--json").json["keys"]
    assert listed["namespace"] is None and listed["role"] == "admin"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["create", "No Name"], "bad_name"),
        (["create", "*", "--collection", "docs"], "bad_name"),
        (["create", "acme", "--expires", "yesterday"], "bad_expiry"),
        (["revoke", "rag_none"], "key_not_found"),
    ],
)
def test_a_wrong_command_says_so_in_one_line(
    rag_with_database: Rag, arguments: list[str], code: str
) -> None:
    answer = rag_with_database("key", *arguments)

    assert answer.code == 1 and f"[{code}]" in answer.err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30", NOW + timedelta(days=30)),
        ("0.5", NOW + timedelta(hours=12)),
        ("2026-02-01", datetime(2026, 2, 1, tzinfo=UTC)),
        ("2026-02-01T00:00:00+01:00", datetime(2026, 1, 31, 23, tzinfo=UTC)),
    ],
)
def test_an_expiry_is_days_or_a_date(text: str, expected: datetime) -> None:
    assert moment_of(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "-1", "0", "2025-01-01", "99999999999999", "soon"])
def test_an_expiry_that_is_past_or_no_time_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="no time to come"):
        moment_of(text, NOW)


@pytest.mark.slow
def test_the_service_starts_answers_and_ends_in_order(database_url: str, tmp_path: Path) -> None:
    environment = {
        **os.environ, "RAG_DATABASE_URL": database_url, "RAG_HOME": str(tmp_path / "home"),
        "RAG_API_PORT": "0",
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "rag.cli.main", "serve", "--json"],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        _wait_ready(url, process)
        with urllib.request.urlopen(f"{url}/health", timeout=10) as answer:
            assert json.load(answer)["ok"] is True
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode in (0, -signal.SIGTERM, 130), log
    assert "Traceback" not in log and "no_api_key" in log


def _wait_ready(url: str, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[1]
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=10):
                return
        except OSError:
            time.sleep(0.3)
    raise AssertionError("not ready")
