"""Fixtures every test may ask for; servers start only when one does."""

from __future__ import annotations

import os

import pytest

from rag_assets_tests.databases import *  # noqa: F403
from rag_assets_tests.servers import *  # noqa: F403

_WITH_A_STACK_PER_MODULE = {"acceptance", "guard", "page"}


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share what takes long to start run in one process (`--dist loadgroup`)."""
    for item in items:
        room = item.path.parent.name
        if room in _WITH_A_STACK_PER_MODULE:
            item.add_marker(pytest.mark.xdist_group(str(item.path)))
        elif room == "scale":  # one Ray cluster
            item.add_marker(pytest.mark.xdist_group(room))


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the person who runs the tests reaches a test."""
    for name in list(os.environ):
        if name.startswith(("RAG_", "AWS_", "DAGSTER_")) and name != "RAG_TEST_DATA":
            monkeypatch.delenv(name)
