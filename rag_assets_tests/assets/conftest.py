"""The bench as a fixture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from rag.store.database import Connection
from rag_assets_tests.assets.bench import Bench


@pytest.fixture
def bench(
    conn: Connection, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bench]:
    """An empty database and a Dagster instance in memory."""
    for name, value in {"HOME": str(tmp_path), "CHUNK_SIZE": "32", "CHUNK_OVERLAP": "4"}.items():
        monkeypatch.setenv(f"RAG_{name}", value)
    with dg.DagsterInstance.ephemeral() as instance:
        yield Bench(conn, database_url, instance)
