"""What must stay on this machine stays there, and what does not is told."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rag.cli.doctor import examine
from rag.cli.exposure import exposure, outer_address, servers
from rag.cli.finding import Level
from rag.settings import Settings
from rag.stack import endpoints
from rag.stack.dagster_servers import DagsterServers
from rag.stack.endpoints import Endpoints
from rag.stack.object_store import S3Server

# this machine, too, and yet not where a server on 127.0.0.1 answers
OUTSIDE = "127.0.0.2"


def listener(host: str) -> socket.socket:
    made = socket.socket()
    made.bind((host, 0))
    made.listen()
    return made


@pytest.fixture(params=["127.0.0.1", "0.0.0.0"])
def server(request: pytest.FixtureRequest) -> Iterator[tuple[str, int]]:
    with closing(listener(request.param)) as made:
        yield request.param, made.getsockname()[1]


def test_a_dagster_ui_that_others_reach_is_told(server: tuple[str, int], tmp_path: Path) -> None:
    host, port = server
    settings = Settings(home=tmp_path, dagster_port=port)

    (finding,) = exposure(settings, OUTSIDE)

    assert finding.level is (Level.OK if host == "127.0.0.1" else Level.WARN)
    assert (f"the Dagster UI (port {port})" in finding.detail) is (host == "0.0.0.0")


def test_every_server_of_a_stack_that_runs_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = Endpoints(
        "postgresql://u:p@127.0.0.1:5001/rag", "postgresql://u:p@127.0.0.1:5001/dagster",
        S3Server("http://127.0.0.1:5002", "a", "b"), "http://127.0.0.1:5003",
    )  # fmt: skip
    monkeypatch.setattr(endpoints, "running_endpoints", lambda _: running)

    assert sorted(port for _, port in servers(Settings(home=tmp_path))) == [5001, 5002, 5003]
    own = Settings(home=tmp_path, database_url="postgresql://u:p@db.example.org/rag")
    assert sorted(port for _, port in servers(own)) == [5002, 5003]


def test_the_dagster_ui_is_bound_to_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DagsterServers, "_server", lambda _, name, *command: command)
    command: Any = DagsterServers(tmp_path, "m", 3000, {}, 0.0).webserver()

    assert command[command.index("-h") + 1] == "127.0.0.1"


def test_the_doctor_looks_for_it(tmp_path: Path) -> None:
    found = []
    for finding in examine(Settings(home=tmp_path)):
        found.append(finding.subject)
        if finding.subject == "exposure":
            break

    assert found[-1] == "exposure"


def test_the_outer_address_is_none_of_the_loopback() -> None:
    assert not (outer_address() or "10.0.0.1").startswith("127.")
