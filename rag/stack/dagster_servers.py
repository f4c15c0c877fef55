"""Dagster's processes: code server, webserver and daemon, and how to tell that they are ready.

One code server serves webserver and daemon; left alone, each would start its own.
"""

from __future__ import annotations

import json
import secrets
import sys
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.errors import ConfigurationError, UnavailableError
from rag.stack.folder import ensure_folder
from rag.stack.loopback import HOST
from rag.stack.server import Server

_READY_TIMEOUT_S = 120.0
_REQUEST_TIMEOUT_S = 10.0
_LOCATION = "rag_assets"
_STATE_QUERY = """{
  workspaceOrError { ... on Workspace { locationEntries {
    loadStatus
    locationOrLoadError { __typename ... on PythonError { message causes { message } } } } } }
  instance { daemonHealth { allDaemonStatuses { daemonType required lastHeartbeatTime } } }
}"""
_LONGEST_SOCKET_NAME = 100


@dataclass(frozen=True, slots=True)
class DagsterServers:
    """How Dagster's processes are started: `module` holds the definitions."""

    home: Path  # the platform's, with `dagster` and `logs` in it
    module: str
    port: int
    environment: dict[str, str]
    started_at: float  # heartbeats of daemons before this are another stack's

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def prepare(self) -> None:
        """Close runs that a killed stack left open; makes Dagster's tables at the first start."""
        server = self._server("Dagster instance check", "-m", "resources.orphaned_runs")
        try:
            server.wait_ready(lambda: not server.is_running(), _READY_TIMEOUT_S)
            if server.status != 0:
                server.check()
        finally:
            server.stop()

    def code_server(self) -> Server:
        socket = self._new_socket()
        workspace = {"grpc_server": {"socket": str(socket), "location_name": _LOCATION}}
        self._workspace.write_text(json.dumps({"load_from": [workspace]}), encoding="utf-8")
        return self._server(
            "Dagster code server",
            *("-m", "dagster", "code-server", "start", "-m", self.module),
            *("--socket", str(socket), "--location-name", _LOCATION),
            *("--working-directory", str(project_root()), "--log-level", "warning"),
        )

    def webserver(self) -> Server:
        return self._server(
            "Dagster webserver",
            *("-m", "dagster_webserver", "-h", HOST, "-p", str(self.port)),
            *("-w", str(self._workspace), "--dagster-log-level", "warning"),
        )

    def daemon(self) -> Server:
        return self._server(
            "Dagster daemon",
            *("-m", "sensors.daemon", "run", "-w", str(self._workspace)),
            *("--log-level", "info"),
        )

    def is_ready(self) -> bool:
        """Whether the UI answers, the definitions are loaded and the daemons work. Raises
        UnavailableError with the reason when the definitions can not be loaded."""
        state = self._state()
        if state is None:
            return False
        entries = state["workspaceOrError"].get("locationEntries", [])
        for entry in entries:
            failure = entry["locationOrLoadError"] or {}
            if failure.get("__typename") == "PythonError":
                _raise_load_error(failure, self.log("Dagster code server"))
        is_loaded = bool(entries) and all(entry["loadStatus"] == "LOADED" for entry in entries)
        statuses = state["instance"]["daemonHealth"]["allDaemonStatuses"]
        return is_loaded and all(
            (one["lastHeartbeatTime"] or 0) >= self.started_at
            for one in statuses
            if one["required"]
        )

    def log(self, name: str) -> Path:
        folder = ensure_folder(self.home / "logs", 0o755)
        return folder / f"{name.lower().replace(' ', '-')}.log"

    @property
    def _workspace(self) -> Path:
        return self.home / "dagster" / "workspace.yaml"

    def _new_socket(self) -> Path:
        """A name never used before: by it we tell that a run's code server is gone."""
        folder = ensure_folder(self.home / "dagster")
        for left_over in folder.glob("code-*.sock"):
            left_over.unlink(missing_ok=True)
        socket = folder / f"code-{secrets.token_hex(4)}.sock"
        if len(str(socket)) <= _LONGEST_SOCKET_NAME:
            return socket
        return Path(tempfile.mkdtemp(prefix="rag-")) / "code.sock"

    def _server(self, name: str, *command: str) -> Server:
        return Server(name, (sys.executable, *command), self.log(name), self.environment)

    def _state(self) -> dict[str, Any] | None:
        request = urllib.request.Request(  # noqa: S310 our own http URL
            f"{self.url}/graphql",
            data=json.dumps({"query": _STATE_QUERY}).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=_REQUEST_TIMEOUT_S) as answer:  # noqa: S310
                state = json.load(answer).get("data")
        except (urllib.error.URLError, OSError, ValueError):
            return None  # not there yet
        return state if isinstance(state, dict) else None


def _raise_load_error(failure: dict[str, Any], log: Path) -> None:
    causes = [cause["message"] for cause in failure.get("causes") or []]
    text = " ".join((causes or [failure["message"]])[-1].split())
    raise UnavailableError(
        f"Dagster can not load the definitions: {text[:400]} (log: {log})",
        code="definitions_not_loaded",
    )


def project_root() -> Path:
    """The folder that holds the packages `rag` and `rag_assets`."""
    return Path(__file__).resolve().parents[2]


def instance_file() -> Path:
    """dagster.yaml, from the checkout or from the installed package."""
    for candidate in (project_root() / "dagster.yaml", Path(__file__).with_name("dagster.yaml")):
        if candidate.is_file():
            return candidate
    raise ConfigurationError(
        "dagster.yaml is missing from the installation: install rag-assets again.",
        code="installation_incomplete",
    )
