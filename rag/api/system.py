"""GET /system: how the whole stands, as far as the caller's key reaches."""

from __future__ import annotations

from importlib import metadata
from typing import Any

from rag.api.collections import as_object, scope_of
from rag.api.service import Caller, Service, Serving
from rag.store import server, standing
from rag.store.database import Connection, Row

_PACKAGES = ("rag-assets", "dagster", "docling-slim", "openvino", "psycopg")


def system(service: Serving, caller: Caller) -> dict[str, Any]:
    """Freshness, generations, failures, queue, runs and versions."""
    scope = scope_of(caller)
    with service.reading_for(caller) as conn:
        rows = standing.summaries(conn, scope)
        ids = [row["collection_id"] for row in rows]
        body: dict[str, Any] = {
            "collections": [as_object(row) for row in rows],
            "failures": standing.failures_by_code(conn, ids, scope),
            "runs": standing.runs_of(conn, ids),
        }
    with service.database.connection() as conn:  # the reader sees live generations only
        shown = {_name(row) for row in rows}
        made = standing.generations_of(conn, ids, scope)
        body["generations"] = [row for row in made if _name(row) in shown]
        body["versions"] = _versions(conn)
    body["queue"] = {
        "pending": sum(row["pending"] for row in rows),
        "hints": sum(row["hints"] for row in rows),
        "oldest_pending_s": max((row["oldest_pending_s"] for row in rows), default=0.0),
    }
    body["service"] = _service(service)
    return body


def _name(row: Row) -> tuple[str, str]:
    return row["namespace"], row["collection"]


def _service(service: Service) -> dict[str, Any]:
    return {
        "model": service.model_name,
        "model_warm": service.embedder.is_warm,
        "model_error": service.embedder.error_code,
        "needs_key": service.is_guarded(),
        "max_files_per_upload": service.settings.api_max_files_per_upload,
        "max_file_mb": service.settings.api_max_file_mb,
    }


def _versions(conn: Connection) -> dict[str, str]:
    found = {name: _version(name) for name in _PACKAGES}
    return {**found, "PostgreSQL": server.version(conn), "schema": server.revision(conn) or "none"}


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "missing"
