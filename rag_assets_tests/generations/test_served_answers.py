"""Answers over HTTP while generations of two models are promoted back and forth."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest

from rag import asking
from rag.api.pool import Database
from rag.api.service import Service
from rag.api.warmth import WarmEmbedder
from rag.generations import promotion
from rag_assets_tests.api.running import running
from rag_assets_tests.generations.conftest import Changing

pytestmark = pytest.mark.slow

UNKNOWN = "I don't know"


@dataclass
class Caller:
    """Asks one route over and over; keeps what a person would not have wanted to see."""

    url: str
    route: str
    stop: threading.Event
    asked: int = 0
    wrong: list[str] = field(default_factory=list)

    def run(self) -> None:
        with httpx.Client(base_url=self.url, timeout=20) as client:
            for number in itertools.cycle(range(6)):
                if self.stop.is_set():
                    return
                try:
                    answer = client.post(self.route, json=self.body(number))
                    self.judge(number, answer)
                except httpx.HTTPError as error:
                    self.wrong.append(repr(error))
                self.asked += 1

    def body(self, number: int) -> dict[str, Any]:
        question = f"instrument {number}-2 of station {number}"
        if self.route == "/v1/chat/completions":
            said = [{"role": "user", "content": question}]
            return {"model": "acme/docs", "messages": said}
        return {"query": question, "collection": "acme/docs"}

    def judge(self, number: int, answer: httpx.Response) -> None:
        if answer.status_code != 200 or f"station-{number}.txt" not in answer.text:
            self.wrong.append(f"{self.route} {answer.status_code} {answer.text[:300]}")
        elif UNKNOWN in answer.text:
            self.wrong.append(f"{self.route} knew nothing")


@pytest.fixture
def served(changing: Changing) -> Iterator[tuple[Changing, str]]:
    """A service over two generations of two models, both with all documents."""
    settings = changing.shop().settings.model_copy(update={"api_requests_per_minute": 0})
    service = Service(
        settings, Database(changing.database_url, settings),
        WarmEmbedder(lambda: changing.engine(settings)), None, None,  # type: ignore[arg-type]
        settings.embedding_model, load=changing.engine,
    )  # fmt: skip
    changing.build({"embedding_model": "other"})
    with running(service) as url:
        yield changing, url


@contextmanager
def callers(url: str) -> Iterator[list[Caller]]:
    stop = threading.Event()
    asking_ = [Caller(url, route, stop) for route in ("/rag", "/v1/chat/completions", "/query")]
    threads = [threading.Thread(target=caller.run) for caller in asking_]
    for thread in threads:
        thread.start()
    try:
        yield asking_
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)


def swap_while(changing: Changing, asked: list[Caller], least: int) -> int:
    """Promote the one and the other until every caller asked that often; how many swaps."""
    settings = changing.shop().settings
    deadline = time.monotonic() + 120
    for swaps in itertools.count(1):
        promotion.roll_back(changing.conn, changing.name, settings)
        if min(caller.asked for caller in asked) >= least:
            return swaps
        assert time.monotonic() < deadline
    raise AssertionError


def test_no_route_misses_while_generations_go_back_and_forth(
    served: tuple[Changing, str],
) -> None:
    changing, url = served
    with callers(url) as asked:
        swaps = swap_while(changing, asked, least=60)
    wrong = [line for caller in asked for line in caller.wrong]
    assert wrong == [], wrong[:3]
    assert swaps >= 20
    generations = {
        row["generation_id"]
        for row in changing.conn.execute("select distinct generation_id from query_log")
    }
    assert len(generations) == 2  # both were really asked


def test_the_callers_notice_a_vector_of_the_wrong_model(
    served: tuple[Changing, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: a search that takes any vector for the live model's own."""
    changing, url = served
    look = asking.look

    def careless(conn: Any, request: Any, memory: Any, *, vectors: Any, **more: Any) -> Any:
        return look(conn, replace(request, vector=next(iter(vectors.values()))), memory, **more)

    monkeypatch.setattr(asking, "look", careless)
    with callers(url) as asked:
        swap_while(changing, asked, least=20)
    assert any(caller.wrong for caller in asked)
