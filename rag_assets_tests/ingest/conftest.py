"""The harness as a fixture."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.store.database import Connection
from rag_assets_tests.ingest.harness import Harness


@pytest.fixture
def harness(conn: Connection, database_url: str, tmp_path: Path) -> Harness:
    """An empty collection with an empty source."""
    return Harness(conn, database_url, tmp_path)
