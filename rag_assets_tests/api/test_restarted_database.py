"""Postgres restarts and crashes while a service answers: no answer is empty, and it comes back."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg
import pytest

from rag.api import app, gate
from rag.api.faults import Fault
from rag.api.pool import Database
from rag.api.service import Service
from rag.api.warmth import WarmEmbedder
from rag.settings import Settings
from rag.stack.cluster import SUPERUSER, Cluster
from rag.store.database import connect
from rag.store.migration import migrate
from rag_assets_tests.api.running import running
from rag_assets_tests.fakes_embed import FakeEmbedder
from rag_assets_tests.ingest.harness import Harness

pytestmark = pytest.mark.slow

BACK_S = 30.0


@dataclass
class Person:
    """Asks over and over; keeps every kind of answer, and what nobody should get."""

    url: str
    route: str
    stop: threading.Event
    answered: int = 0
    refused: int = 0
    wrong: list[str] = field(default_factory=list)

    def run(self) -> None:
        with httpx.Client(base_url=self.url, timeout=30) as client:
            while not self.stop.is_set():
                self.ask(client)

    def ask(self, client: httpx.Client) -> int:
        body = {"query": "who inspects the rope", "collection": "acme/docs"}
        answer = client.post(self.route, json=body)
        if answer.status_code == 503 and "retry-after" in answer.headers:
            self.refused += 1
            time.sleep(0.02)
        elif answer.status_code == 200 and "rope.txt" in answer.text:
            self.answered += 1
        else:
            self.wrong.append(f"{self.route} {answer.status_code} {answer.text[:200]}")
        return answer.status_code


@dataclass
class Place:
    """A service with a Postgres of its own that may be killed."""

    cluster: Cluster
    url: str

    def restart(self, how: signal.Signals) -> None:
        """The server goes, stays away for a moment, and comes back where it was."""
        process = self.cluster.process
        assert process is not None
        process.send_signal(how)
        process.wait(20)
        time.sleep(1.0)
        self.cluster.start(self.cluster.port)

    @contextmanager
    def asked(self) -> Iterator[list[Person]]:
        stop = threading.Event()
        people = [Person(self.url, route, stop) for route in ("/query", "/rag", "/query")]
        threads = [threading.Thread(target=person.run) for person in people]
        for thread in threads:
            thread.start()
        try:
            yield people
        finally:
            stop.set()
            for thread in threads:
                thread.join(60)


@pytest.fixture
def place(temporary_home: Path) -> Iterator[Place]:
    folder = temporary_home / "own"
    folder.mkdir()
    cluster = Cluster(folder, folder / "log", durable=False)
    cluster.start()
    try:
        password = (folder / "password").read_text(encoding="utf-8").strip()
        server = f"postgresql://{SUPERUSER}:{password}@127.0.0.1:{cluster.port}"
        with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
            admin.execute("create database product")
        url = f"{server}/product"
        migrate(url)
        with connect(url) as conn:
            filled = Harness(conn, url, folder / "work")
            filled.source.put("rope.txt", b"The inspector inspects the rope.")
            filled.run()
        settings = Settings(api_requests_per_minute=0, api_pool_timeout_s=0.2)
        service = Service(
            settings,
            Database(url, settings),
            WarmEmbedder(FakeEmbedder),
            None,
            None,
            "fake",  # type: ignore[arg-type]
        )
        with running(service) as at:
            yield Place(cluster, at)
    finally:
        cluster.stop()


def test_a_restart_or_a_crash_is_a_503_and_never_an_empty_answer(place: Place) -> None:
    with place.asked() as people:
        for how in (signal.SIGINT, signal.SIGKILL):
            before = [person.answered for person in people]
            place.restart(how)
            deadline = time.monotonic() + BACK_S
            while any(now.answered <= was for now, was in zip(people, before, strict=True)):
                assert time.monotonic() < deadline, "it did not come back by itself"
                time.sleep(0.05)
    assert [line for person in people for line in person.wrong] == []
    assert all(person.answered for person in people)
    assert sum(person.refused for person in people) > 0  # the loss was felt
    with httpx.Client(base_url=place.url) as client:
        deadline = time.monotonic() + BACK_S
        while people[0].ask(client) != 200:  # a connection made anew may take longer than the pool
            assert time.monotonic() < deadline, "it came back and went again"
    assert people[0].wrong == []


def test_an_empty_answer_in_place_of_an_error_would_be_seen(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: errors that leave as if nothing had been found."""
    for module in (app, gate):
        monkeypatch.setattr(module, "fault_of", lambda _: Fault(200, "none", "nothing found", {}))
    with place.asked() as people:
        place.restart(signal.SIGINT)
    assert [line for person in people for line in person.wrong]
