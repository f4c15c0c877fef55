"""A collection to search, over a real database."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.store.database import Connection
from rag_assets_tests.ingest.harness import Harness


@pytest.fixture
def harness(conn: Connection, database_url: str, tmp_path: Path) -> Harness:
    return Harness(conn, database_url, tmp_path)
