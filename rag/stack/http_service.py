"""The web page and HTTP service as a process of the stack."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rag.settings import Settings
from rag.stack.folder import ensure_folder
from rag.stack.loopback import HOST, answers, required_port
from rag.stack.server import Server

_READY_TIMEOUT_S = 120.0
_EVERYWHERE = ("0.0.0.0", "::", "")  # noqa: S104 - compared, not bound


@dataclass(frozen=True, slots=True)
class HttpService:
    """How `rag serve` is started beside the other servers."""

    host: str
    port: int
    shutdown_s: float

    @classmethod
    def chosen(cls, settings: Settings) -> HttpService:
        """As the settings say. Raises ConfigurationError (`port_in_use`)."""
        port = required_port(settings.api_port, "RAG_API_PORT")
        return cls(settings.api_host, port, settings.api_shutdown_s)

    @property
    def url(self) -> str:
        return f"http://{self.reachable_host}:{self.port}"

    @property
    def reachable_host(self) -> str:
        """A host at which this machine finds the service."""
        return HOST if self.host in _EVERYWHERE else self.host

    def start(self, home: Path, environment: Mapping[str, str]) -> Server:
        """The process; it warms its model while the rest of the stack starts."""
        return Server(
            "HTTP service",
            (sys.executable, "-m", "rag.cli.main", "serve", "--json"),
            ensure_folder(home / "logs", 0o755) / "http-service.log",
            {**environment, "RAG_API_PORT": str(self.port)},
            grace_s=self.shutdown_s + 5,
        )

    def wait_ready(self, server: Server) -> None:
        """Return when it takes requests. Raises UnavailableError when it ends before."""
        server.wait_ready(lambda: answers(self.port, host=self.reachable_host), _READY_TIMEOUT_S)
