"""A migrated database for each test, copied from a template made once per session."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from rag.store.database import Connection, connect
from rag.store.migration import migrate

__all__ = ["conn", "database_url", "template_database"]


def with_database(url: str, name: str) -> str:
    """The same server, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


@pytest.fixture(scope="session")
def template_database(postgres_server: str) -> str:
    """Name of a migrated, empty database to copy."""
    name = f"template_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        admin.execute(f"create database {name}".encode())
    migrate(with_database(postgres_server, name))
    return name


@pytest.fixture
def database_url(postgres_server: str, template_database: str) -> Iterator[str]:
    """A migrated database of the test's own, dropped afterwards."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        admin.execute(f"create database {name} template {template_database}".encode())
        yield with_database(postgres_server, name)
        admin.execute(f"drop database {name} with (force)".encode())


@pytest.fixture
def conn(database_url: str) -> Iterator[Connection]:
    """A connection to the test's own database."""
    with connect(database_url) as connection:
        yield connection
