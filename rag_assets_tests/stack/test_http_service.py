"""The web page and HTTP service as a part of the stack."""

from __future__ import annotations

import os
import signal
import socket
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from rag.errors import ConfigurationError, UnavailableError
from rag.settings import Settings
from rag.stack.endpoints import running_endpoints
from rag.stack.loopback import answers
from rag.stack.supervisor import running_stack
from rag.store.migration import migrate
from rag_assets_tests.stack.processes import eventually, using

_STUB = "rag_assets_tests.stack.stub_definitions"


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("RAG_", "AWS_", "DAGSTER_")) and name != "RAG_TEST_DATA":
            monkeypatch.delenv(name)


def test_a_port_in_use_is_an_error_that_names_the_setting(temporary_home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        chosen = Settings(home=temporary_home, dagster_port=0, api_port=taken.getsockname()[1])
        with (
            pytest.raises(ConfigurationError, match="RAG_API_PORT") as caught,
            running_stack(chosen, lambda _line: None, with_service=True),
        ):
            pytest.fail("started")
    assert caught.value.code == "port_in_use"
    assert not using(temporary_home)
    assert not (temporary_home / "postgres").exists()


@pytest.mark.slow
def test_the_stack_serves_the_page_watches_it_and_takes_it_down(temporary_home: Path) -> None:
    chosen = Settings(home=temporary_home, dagster_port=0, api_port=0)
    with (
        pytest.raises(UnavailableError, match="HTTP service ended"),
        running_stack(
            chosen, lambda _line: None, definitions=_STUB, with_service=True,
            before_dagster=lambda endpoints: migrate(endpoints.database_url),
        ) as stack,
    ):  # fmt: skip
        url = stack.endpoints.api_url
        told = running_endpoints(temporary_home)
        assert told is not None and told.api_url == url
        with urllib.request.urlopen(url, timeout=30) as answer:
            assert b"<!doctype html>" in answer.read()
        os.kill(pid_of_service(), signal.SIGKILL)
        stack.wait()
    assert eventually(lambda: not using(temporary_home))
    assert not answers(urlsplit(url).port or 0)


def pid_of_service() -> int:
    """The process that serves, of those we started."""
    (pid,) = [
        child.pid
        for child in psutil.Process().children(recursive=True)
        if child.cmdline()[1:4] == ["-m", "rag.cli.main", "serve"]
    ]
    return pid
