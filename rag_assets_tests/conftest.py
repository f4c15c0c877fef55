"""Fixtures every test may ask for; servers start only when one does."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from rag_assets_tests.databases import *  # noqa: F403
from rag_assets_tests.servers import *  # noqa: F403

WHOLLY_SLOW = re.compile(r"^pytestmark = \[?\s*pytest\.mark\.slow", re.MULTILINE)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Where no slow test is wanted, modules of slow tests alone are not even imported."""
    is_unwanted = (
        config.getoption("markexpr") == "not slow"
        and collection_path.suffix == ".py"
        and WHOLLY_SLOW.search(collection_path.read_text(encoding="utf-8"))
    )
    return True if is_unwanted else None


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the person who runs the tests reaches a test."""
    for name in list(os.environ):
        if name.startswith(("RAG_", "AWS_", "DAGSTER_")) and name != "RAG_TEST_DATA":
            monkeypatch.delenv(name)
