"""Runs the application on a socket until it is told to stop."""

from __future__ import annotations

import logging
import sys
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
    options = service.options
    config = uvicorn.Config(
        build_app(service),
        host=options.host,
        port=options.port,
        access_log=False,  # query strings are content; the gate logs requests without them
        log_level="warning",
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=options.shutdown_s,
        backlog=_BACKLOG,
        server_header=False,
        lifespan="on",
    )
    server = uvicorn.Server(config)
    server.run()
    return server.started


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log = logging.getLogger("rag.api")
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    log.propagate = False
