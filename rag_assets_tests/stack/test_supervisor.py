from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path

import psutil
import psycopg
import pytest

from rag.errors import ConfigurationError, ConflictError, UnavailableError
from rag.settings import Settings
from rag.stack.endpoints import Endpoints, publish, running_endpoints
from rag.stack.supervisor import connect_or_start, running_stack
from rag_assets_tests.stack.processes import eventually, pid_of, python, using

_STUB = "rag_assets_tests.stack.stub_definitions"
_UP = """
import sys
from pathlib import Path
from rag.settings import Settings
from rag.stack.supervisor import running_stack
settings = Settings(home=Path(sys.argv[1]), dagster_port=0)
try:
    with running_stack(settings, lambda line: None, definitions=sys.argv[2]) as stack:
        print(stack.endpoints.dagster_url, flush=True)
        stack.wait()
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("RAG_", "AWS_", "DAGSTER_")) and name != "RAG_TEST_DATA":
            monkeypatch.delenv(name)


def settings(home: Path, **values: object) -> Settings:
    return Settings(home=home, dagster_port=0, **values)  # type: ignore[arg-type]


def up(home: Path) -> tuple[subprocess.Popen[str], str]:
    """A stack in another process, ready."""
    process = python(_UP, str(home), _STUB)
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    assert url.startswith("http://127.0.0.1:"), url
    return process, url


def ask(url: str, query: str) -> dict[str, object]:
    request = urllib.request.Request(
        f"{url}/graphql",
        data=json.dumps({"query": query}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        data: dict[str, object] = json.load(answer)["data"]
    return data


def launch(url: str, job: str) -> None:
    selector = (
        f'{{repositoryLocationName: "rag_assets", repositoryName: "__repository__", '
        f'jobName: "{job}"}}'
    )
    answer = ask(
        url,
        f"mutation {{ launchRun(executionParams: {{selector: {selector}}}) {{ __typename }} }}",
    )
    assert answer == {"launchRun": {"__typename": "LaunchRunSuccess"}}


def statuses(url: str) -> list[str]:
    runs = ask(url, "{ runsOrError { ... on Runs { results { status } } } }")["runsOrError"]
    return [run["status"] for run in runs["results"]]  # type: ignore[index]


def test_a_file_left_by_a_killed_stack_is_not_believed(temporary_home: Path) -> None:
    assert running_endpoints(temporary_home) is None
    (temporary_home / "stack.lock").touch()
    publish(temporary_home, Endpoints("postgresql://gone", "postgresql://gone", pid=os.getpid()))
    assert running_endpoints(temporary_home) is None
    assert (temporary_home / "stack.json").stat().st_mode & 0o077 == 0


def test_endpoints_never_show_their_passwords() -> None:
    endpoints = Endpoints("postgresql://u:secret@h/d", "postgresql://u:secret@h/e")
    assert "secret" not in repr(endpoints)


def test_a_port_in_use_is_an_error_before_anything_starts(temporary_home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        chosen = Settings(home=temporary_home, dagster_port=taken.getsockname()[1])
        with (
            pytest.raises(ConfigurationError, match="RAG_DAGSTER_PORT"),
            running_stack(chosen, lambda _line: None),
        ):
            pytest.fail("started")
    assert not using(temporary_home)
    assert not (temporary_home / "postgres").exists()


def test_external_servers_are_used_and_none_is_started(temporary_home: Path) -> None:
    chosen = settings(temporary_home, database_url="postgresql://u:p@db.example/rag")
    with connect_or_start(chosen) as endpoints:
        assert endpoints.database_url == "postgresql://u:p@db.example/rag"
        assert endpoints.dagster_database_url == "postgresql+psycopg2://u:p@db.example/dagster"
        assert endpoints.s3 is None
    assert list(temporary_home.iterdir()) == []


@pytest.mark.slow
def test_a_command_without_a_stack_has_postgres_for_its_own_time(temporary_home: Path) -> None:
    with (
        connect_or_start(settings(temporary_home)) as endpoints,
        psycopg.connect(endpoints.database_url) as connection,
    ):
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert eventually(lambda: not using(temporary_home))


@pytest.mark.slow
def test_a_stack_serves_runs_and_a_signal_ends_all_of_it(temporary_home: Path) -> None:
    process, url = up(temporary_home)
    launch(url, "quick_job")
    assert eventually(lambda: statuses(url) == ["SUCCESS"], 60.0)
    with connect_or_start(settings(temporary_home)) as endpoints:
        assert endpoints.dagster_url == url
        assert endpoints.pid == process.pid
        assert endpoints.s3 is not None
    with (
        pytest.raises(ConflictError, match=url),
        running_stack(settings(temporary_home), lambda _line: None),
    ):
        pytest.fail("a second stack")
    launch(url, "endless_job")
    assert eventually((temporary_home / "run.pid").exists, 60.0)
    worker = psutil.Process(int((temporary_home / "run.pid").read_text()))
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert output.strip() == "interrupted"
    assert process.returncode == 0
    assert not worker.is_running()
    assert eventually(lambda: not using(temporary_home))
    assert not (temporary_home / "stack.json").exists()


@pytest.mark.slow
def test_a_killed_stack_leaves_nothing_and_its_run_fails_at_the_next_start(
    temporary_home: Path,
) -> None:
    process, url = up(temporary_home)
    launch(url, "endless_job")
    assert eventually((temporary_home / "run.pid").exists, 60.0)
    worker = psutil.Process(int((temporary_home / "run.pid").read_text()))
    for word in ("rag.stack.guard", "rag.stack.object_server", "rag.stack.postgres_keeper"):
        assert any(word in line for line in using(temporary_home))
    worker.suspend()  # so that it can not report its own end
    process.kill()
    process.communicate(timeout=10)
    assert eventually(lambda: not using(temporary_home) and not worker.is_running(), 60.0)
    again, url = up(temporary_home)
    assert "FAILURE" in statuses(url)
    again.send_signal(signal.SIGINT)
    again.communicate(timeout=60)
    assert eventually(lambda: not using(temporary_home))


@pytest.mark.slow
def test_a_server_that_dies_ends_the_stack_with_its_name(temporary_home: Path) -> None:
    with (
        pytest.raises(UnavailableError, match="object store ended by itself"),
        running_stack(settings(temporary_home), lambda _line: None, definitions=_STUB) as stack,
    ):
        os.kill(pid_of(temporary_home, "rag.stack.object_server"), signal.SIGKILL)
        stack.wait()
    assert not using(temporary_home)


@pytest.mark.slow
def test_definitions_that_do_not_load_are_an_error_with_the_reason(temporary_home: Path) -> None:
    with (
        pytest.raises(UnavailableError, match="no_such_module"),
        running_stack(settings(temporary_home), lambda _line: None, definitions="no_such_module"),
    ):
        pytest.fail("started")
    assert eventually(lambda: not using(temporary_home))
