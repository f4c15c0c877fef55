"""Real servers for tests: one PostgreSQL and one object store per test session.

Import the fixtures in a conftest.py: `from rag_assets_tests.servers import *`.
"""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from rag.stack.object_store import S3Server, embedded_object_store
from rag.stack.postgres import embedded_postgres

__all__ = ["empty_database", "postgres_server", "s3_server", "temporary_home"]


# A database is some hundred files: a copy takes 0.3 s on a slow disk, and 0.1 s in memory.
_MEMORY = Path("/dev/shm")
_MEMORY_BYTES = 4 * 1024**3


def _memory() -> Path | None:
    """Where files are kept in memory; None where that is too small or there is none."""
    has_room = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _MEMORY_BYTES
    return _MEMORY if has_room else None


@contextmanager
def _folder(parent: Path | None = None) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="rag-test-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def temporary_home() -> Iterator[Path]:
    """A folder for a stack of the test's own."""
    with _folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a superuser's connection to an empty database with nothing synced to disk."""
    with _folder(_memory()) as folder, embedded_postgres(folder, durable=False) as url:
        yield url


@pytest.fixture
def empty_database(postgres_server: str) -> Iterator[str]:
    """URL of a database of the test's own, dropped afterwards."""
    import psycopg

    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        yield urlunsplit(urlsplit(postgres_server)._replace(path=f"/{name}"))
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """Endpoint and credentials of an S3-compatible server without buckets."""
    with _folder() as folder, embedded_object_store(folder) as server:
        yield server
