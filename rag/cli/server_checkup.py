"""The checks of `rag doctor` that talk to servers: Postgres, object store, Dagster."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rag.cli.finding import Finding, fail, ok, warn
from rag.cli.terminal import plural

if TYPE_CHECKING:
    from rag.cli.backend import Backend
    from rag.settings import Settings
    from rag.stack.endpoints import Endpoints
    from rag.store.database import Connection

_OLDEST_PGVECTOR = (0, 8)
_SILENT_DAEMON_S = 120.0


def postgres(settings: Settings, endpoints: Endpoints) -> Iterator[Finding]:
    """The server answers, has pgvector and the schema of this code, and the role is fit."""
    from rag.cli.provenance import without_password
    from rag.store import server
    from rag.store.database import connect

    with connect(endpoints.database_url) as conn:
        where = "embedded" if settings.uses_embedded_database else "configured"
        address = without_password(endpoints.database_url)
        yield ok("postgres", f"PostgreSQL {server.version(conn)}, {where}: {address}")
        yield _pgvector(conn)
        yield _schema(conn, is_embedded=settings.uses_embedded_database)
        if not settings.uses_embedded_database:
            yield from _role(conn)


def keys(endpoints: Endpoints) -> Iterator[Finding]:
    """Who may call the HTTP service."""
    from rag.store import access
    from rag.store.database import connect

    with connect(endpoints.database_url) as conn:
        rows = access.list_keys(conn)
    active = sum(row["state"] == "active" for row in rows)
    if active:
        yield ok("api keys", f"{active:,} valid of {plural(len(rows), 'key')}")
    elif rows:
        yield warn("api keys", "none is valid, so nobody gets in", "run `rag key create NS`")
    else:
        yield ok("api keys", "none: programs of this machine may do everything, nobody else")


def _pgvector(conn: Connection) -> Finding:
    from rag.store import server

    row = server.pgvector(conn)
    if row is None:
        return fail("pgvector", "not available", "install pgvector 0.8 or newer on the server")
    version = row["installed_version"] or row["default_version"]
    if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < _OLDEST_PGVECTOR:
        return fail("pgvector", f"{version} is too old", "upgrade to pgvector 0.8 or newer")
    return ok("pgvector", version + ("" if row["installed_version"] else ", not created yet"))


def _schema(conn: Connection, *, is_embedded: bool) -> Finding:
    from rag.store.migration import head_revision
    from rag.store.server import revision

    have, want = revision(conn), head_revision()
    if have == want:
        return ok("schema", f"revision {have}")
    detail = f"revision {have}, this code needs {want}" if have else "not migrated yet"
    if is_embedded:
        return ok("schema", f"{detail}; the next command migrates it")
    return fail("schema", detail, "run `rag migrate`")


def _role(conn: Connection) -> Iterator[Finding]:
    from rag.store import server

    row = server.role(conn)
    rights = [
        name
        for name, has in (
            ("a superuser", row["rolsuper"]),
            ("exempt from row-level security", row["rolbypassrls"] and not row["rolsuper"]),
        )
        if has
    ]
    if rights:
        yield warn(
            "role",
            f"{row['rolname']} is {' and '.join(rights)}",
            "use a role of its own that owns nothing but this database",
        )
    else:
        yield ok("role", f"{row['rolname']}, without special rights")


def object_store(backend: Backend) -> Iterator[Finding]:
    """The store answers, and each collection's source can be read."""
    from rag.cli.binding import check_readable
    from rag.cli.finding import findings_of
    from rag.cli.object_store import list_buckets
    from rag.store import collections

    where = "embedded" if backend.settings.uses_embedded_s3 else "configured"
    address = backend.endpoints.s3.endpoint_url if backend.endpoints.s3 else None
    buckets = list_buckets(backend)
    shown = "buckets may not be listed" if buckets is None else plural(len(buckets), "bucket")
    at = address or backend.settings.s3_endpoint_url or "AWS"
    yield ok("object store", f"{where}: {at}, {shown}")
    for row in collections.all_sources(backend.conn):
        name = f"{row['namespace']}/{row['collection']}"

        def check(uri: str = row["uri"], name: str = name) -> Iterator[Finding]:
            check_readable(backend, uri)
            yield ok("source", f"{uri} of {name} can be read")

        yield from findings_of("source", check)
    if backend.settings.sqs_queue_url:
        yield from findings_of("queue", lambda: _queue(backend))


def _queue(backend: Backend) -> Iterator[Finding]:
    from rag.cli.backend import with_object_store
    from rag.sources.queue import open_queue

    settings = with_object_store(backend.settings, backend.endpoints)
    url = settings.sqs_queue_url or ""
    state = open_queue(url, settings.s3_region).state()
    shown = f"{url}: {plural(state.waiting, 'message')} waiting"
    if state.has_dead_letters:
        yield ok("queue", shown)
    else:
        advice = "give it a redrive policy, or malformed messages come again until they expire"
        yield warn("queue", f"{shown}, no dead-letter queue", advice)


def dagster(endpoints: Endpoints) -> Iterator[Finding]:
    """Dagster's database is there, and whether its daemon works."""
    from rag.store.database import connect
    from rag.store.server import dagster_record

    url = "postgresql://" + endpoints.dagster_database_url.split("://", 1)[1]
    with connect(url) as conn:
        record = dagster_record(conn)
    if record is None:
        yield ok("dagster", "no instance yet; `rag up` or `rag ingest` makes it")
    else:
        yield _daemon(record.silence_s, record.runs, is_up=bool(endpoints.dagster_url))


def _daemon(age_s: float | None, runs: int, *, is_up: bool) -> Finding:
    detail = f"instance on Postgres, {runs:,} runs"
    if age_s is not None and age_s < _SILENT_DAEMON_S:
        return ok("dagster", f"{detail}; the daemon was heard {age_s:.0f} s ago")
    if is_up:
        advice = "look into logs/dagster-daemon.log, stop the stack and start it again"
        return fail("dagster", f"{detail}; the daemon is silent", advice)
    return ok("dagster", f"{detail}; no daemon works, so nothing happens by itself (`rag up`)")
