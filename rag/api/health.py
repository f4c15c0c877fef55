"""GET /health, /livez, /readyz and /metrics."""

from __future__ import annotations

from typing import Any

from fastapi import Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from rag.api.service import Serving


def health(service: Serving) -> dict[str, Any]:
    """Whether the store answers; always 200."""
    is_connected = service.database.is_connected()
    return {
        "ok": is_connected,
        "database_connected": is_connected,
        "mongodb_connected": is_connected,
        "service": "ingestion_pipeline",
    }


async def livez() -> dict[str, Any]:
    """The process answers."""
    return {"ok": True}


def readyz(service: Serving) -> JSONResponse:
    """Whether requests can be served now: model warm, store there, not stopping; else 503."""
    parts = {
        "model_warm": service.embedder.is_warm,
        "database_connected": service.database.is_connected(),
        "not_stopping": not service.is_stopping,
    }
    is_ready = all(parts.values())
    body = {"ok": is_ready, **parts, "model_error": service.embedder.error_code}
    return JSONResponse(body, 200 if is_ready else 503, {} if is_ready else {"Retry-After": "2"})


def metrics(service: Serving) -> Response:
    """Prometheus' text format: latency, errors, requests in flight, connections, documents by
    state, queue and freshness."""
    with service.database.connection() as conn:
        service.meters.look(conn)
        service.meters.watch.look(conn, service.settings)
    for state, count in service.database.usage().items():
        service.meters.connections.labels(state).set(count)
    return Response(service.meters.text(), media_type=CONTENT_TYPE_LATEST)
