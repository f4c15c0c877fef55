"""Runs the application on a socket until it is told to stop."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rag.api.service import Service

_KEEP_ALIVE_S = 5
_BACKLOG = 256


def serve(service: Service) -> bool:
    """Answer until SIGINT or SIGTERM; requests in progress are finished. False when the service
    could not start; the log says why."""
    import uvicorn

    from rag.api.app import build_app

    _log_to_stderr()
    settings = service.settings
    config = uvicorn.Config(
        build_app(service),
        host=settings.api_host,
        port=settings.api_port,
        log_config=None,  # ours, below
        access_log=False,  # query strings are content; the gate logs requests without them
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=settings.api_shutdown_s,
        backlog=_BACKLOG,
        server_header=False,
        lifespan="on",
    )
    server = uvicorn.Server(config)
    server.run()
    return server.started


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name, level in (("rag", logging.INFO), ("uvicorn", logging.WARNING)):
        log = logging.getLogger(name)
        log.setLevel(level)
        log.addHandler(handler)
        log.propagate = False


class JsonLines(logging.Formatter):
    """Each record as one JSON object: time, level, and the fields of the message or its text."""

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {"at": f"{at}.{int(record.msecs):03d}Z", "level": record.levelname.lower()}
        line |= _fields(record.getMessage())
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line)


def _fields(message: str) -> dict[str, str]:
    if message.startswith("{"):
        found: dict[str, str] = json.loads(message)
        return found
    return {"event": message}
