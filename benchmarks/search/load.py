"""Questions to the real HTTP service: one at a time, at a fixed rate, and as many as it takes."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psycopg

from benchmarks.retrieval.vectors import cache_folder
from rag.stack.loopback import free_port

_CALLERS = 16
_READY_S = 120
_IDLE_S = 3.0  # uvicorn keeps a connection for 5


def measure(
    url: str, home: Path, collection: str, questions: list[str], rate: float, seconds: float
) -> dict[str, Any]:
    """Latency percentiles and throughput of POST /query. The first half of the questions warms the
    service. The second half meets it with words that it partly never met; then it is asked again
    and again in other orders of its words, which are remembered while no vector is."""
    half = len(questions) // 2
    fresh = reordered(questions[half:])
    with service(url, home) as (port, pid):
        caller = Caller(port, collection)
        for question in questions[:half]:
            caller.ask(question)
        first = [caller.ask(question) for question in questions[half:]]
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute("truncate query_log cascade")
        spent = cpu_ms(pid), cpu_ms(*_backends(url))
        alone = [caller.ask(question) for question in itertools.islice(fresh, half)]
        cpu = {
            "service": (cpu_ms(pid) - spent[0]) / len(alone),
            "postgres": (cpu_ms(*_backends(url)) - spent[1]) / len(alone),
        }
        with psycopg.connect(url) as conn:
            row = conn.execute(
                "select percentile_cont(0.5) within group (order by encode_ms),"
                " percentile_cont(0.5) within group (order by search_ms) from query_log"
            ).fetchone()
        assert row is not None
        waited, failed = _open_loop(port, collection, fresh, rate, seconds)
        throughput = closed_loop(port, collection, fresh, callers=4, seconds=10)
    return {
        "words_first_met": percentiles(first),
        "one_at_a_time": percentiles(alone),
        "open_loop": {**percentiles(waited), "rate": rate, "failed": failed},
        "throughput": throughput,
        "cpu_ms": cpu,
        "encode_ms": float(row[0]),
        "search_ms": float(row[1]),
    }


def reordered(questions: Sequence[str]) -> Iterator[str]:
    """The same words in ever other orders: no question comes twice."""
    source, asked = random.Random(1), set(questions)
    while True:
        for question in questions:
            words = question.split()
            source.shuffle(words)
            again = " ".join(words)
            if again not in asked:
                asked.add(again)
                yield again


def _backends(url: str) -> list[int]:
    """The processes of Postgres that serve the service."""
    with psycopg.connect(url) as conn:
        rows = conn.execute("select pid from pg_stat_activity where application_name = 'rag-api'")
        return [row[0] for row in rows]


def cpu_ms(*pids: int) -> float:
    """Processor time that processes have had."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total * 1000 / os.sysconf("SC_CLK_TCK")


class Caller:
    """A client with a connection of its own."""

    def __init__(self, port: int, collection: str) -> None:
        self._conn = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._collection = collection
        self._used = time.monotonic()

    def ask(self, question: str) -> float:
        """Milliseconds of one question."""
        if time.monotonic() - self._used > _IDLE_S:  # the service may hang up any moment
            self._conn.close()
        started = time.perf_counter()
        body = json.dumps({"query": question, "collection": self._collection, "k": 10})
        self._conn.request("POST", "/query", body, {"Content-Type": "application/json"})
        answer = self._conn.getresponse()
        found = json.loads(answer.read())
        self._used = time.monotonic()
        if answer.status != 200 or len(found["hits"]) != 10:
            raise RuntimeError(found)
        return (time.perf_counter() - started) * 1000


def _open_loop(
    port: int, collection: str, fresh: Iterator[str], rate: float, seconds: float
) -> tuple[list[float], int]:
    """Questions due at random times of that rate, whatever becomes of those before."""
    own = threading.local()
    source = random.Random(1)

    def ask(question: str, due: float) -> float | None:
        if not hasattr(own, "caller"):
            own.caller = Caller(port, collection)
        try:
            own.caller.ask(question)
        except (RuntimeError, OSError):
            return None
        return (time.perf_counter() - due) * 1000

    with ThreadPoolExecutor(_CALLERS) as pool:
        asked = []
        due = time.perf_counter()
        end = due + seconds
        while due < end:
            due += source.expovariate(rate)
            time.sleep(max(0.0, due - time.perf_counter()))
            asked.append(pool.submit(ask, next(fresh), due))
        times = [one.result() for one in asked]
    return [spent for spent in times if spent is not None], sum(spent is None for spent in times)


def closed_loop(
    port: int, collection: str, fresh: Iterator[str], callers: int, seconds: float
) -> float:
    """Questions a second when each caller asks again at once."""
    lock = threading.Lock()
    end = time.perf_counter() + seconds

    def go() -> int:
        caller, count = Caller(port, collection), 0
        while time.perf_counter() < end:
            with lock:
                question = next(fresh)
            caller.ask(question)
            count += 1
        return count

    with ThreadPoolExecutor(callers) as pool:
        return sum(pool.map(lambda _: go(), range(callers))) / seconds


def percentiles(times: list[float]) -> dict[str, float]:
    return {f"p{p}": float(np.percentile(times, p)) for p in (50, 95, 99)}


@contextmanager
def service(url: str, home: Path) -> Iterator[tuple[int, int]]:
    """`rag serve` on that database: its port and its process."""
    port = free_port()
    environment = {
        **os.environ,
        "RAG_DATABASE_URL": url,
        "RAG_HOME": str(cache_folder()),
        "RAG_API_PORT": str(port),
        "RAG_API_REQUESTS_PER_MINUTE": "0",
        "RAG_S3_ENDPOINT_URL": "http://127.0.0.1:9",  # nothing is uploaded
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
    }
    with (home / "service.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "rag.cli.main", "serve", "--json"],
            env=environment, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            _wait_ready(port, process)
            yield port, process.pid
        finally:
            process.terminate()
            process.wait(30)


def _wait_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline and process.poll() is None:
        conn = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            conn.request("GET", "/readyz")
            if conn.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            conn.close()
        time.sleep(0.2)
    raise RuntimeError("the service did not become ready: see service.log")
