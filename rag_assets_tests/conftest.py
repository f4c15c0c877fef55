"""Fixtures every test may ask for; servers start only when one does."""

from __future__ import annotations

import os

import pytest

from rag_assets_tests.databases import *  # noqa: F403
from rag_assets_tests.servers import *  # noqa: F403


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the person who runs the tests reaches a test."""
    for name in list(os.environ):
        if name.startswith(("RAG_", "AWS_", "DAGSTER_")) and name != "RAG_TEST_DATA":
            monkeypatch.delenv(name)
