"""What a database server is and has: for `rag doctor`, and before anything is asked of it."""

from __future__ import annotations

from typing import NamedTuple

from rag.store.database import Connection, Row
from rag.store.queries import statements


class DagsterRecord(NamedTuple):
    """Dagster's own database: how long its daemon has been silent, and how many runs it knows."""

    silence_s: float | None
    runs: int


def version(conn: Connection) -> str:
    """The server's version, as `18.1`."""
    return str(_one(conn, "version")["version"]).split()[0]


def pgvector(conn: Connection) -> Row | None:
    """The extension's default and installed version; None when the server does not have it."""
    return conn.execute(statements("server")["pgvector"]).fetchone()


def role(conn: Connection) -> Row:
    """Our role's name and special rights."""
    return _one(conn, "role")


def languages(conn: Connection) -> list[str]:
    """The text search configurations there are, by name."""
    return [row["cfgname"] for row in conn.execute(statements("server")["languages"])]


def revision(conn: Connection) -> str | None:
    """The revision the database is at; None when it was never migrated."""
    if not _one(conn, "is_migrated")["known"]:
        return None
    row = conn.execute(statements("server")["revision"]).fetchone()
    return None if row is None else str(row["version_num"])


def dagster_record(conn: Connection) -> DagsterRecord | None:
    """What Dagster's database says; None when Dagster has not made its tables yet."""
    if not _one(conn, "is_dagster_database")["known"]:
        return None
    return DagsterRecord(_one(conn, "daemon_silence")["age"], int(_one(conn, "count_runs")["runs"]))


def _one(conn: Connection, name: str) -> Row:
    row = conn.execute(statements("server")[name]).fetchone()
    assert row is not None
    return row
