"""How soon things are there: `rag --help`, the whole stack, and a search from a new process.

Run: python -m benchmarks.start_up [rounds=7]. Writes start_up.json. Home and servers of its own.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.keeping import keep, machine
from benchmarks.retrieval.vectors import engine
from rag.cli import samples
from rag.stack.loopback import free_port

RAG = str(Path(sys.executable).parent / "rag")
QUESTION = "how often is the wind measured?"
_TIMEOUT_S = 300


def command(environment: dict[str, str], *arguments: str) -> tuple[float, float]:
    """Seconds of one command in a new process, and its processor seconds."""
    started, cpu = time.perf_counter(), _cpu_of_ended()
    subprocess.run(
        [RAG, *arguments], env=environment, check=True, capture_output=True, timeout=_TIMEOUT_S
    )
    return time.perf_counter() - started, _cpu_of_ended() - cpu


def commands(rounds: int, environment: dict[str, str], *arguments: str) -> dict[str, list[float]]:
    """`s` and `cpu_s` of each of some runs of a command."""
    runs = [command(environment, *arguments) for _ in range(rounds)]
    return {"s": [run[0] for run in runs], "cpu_s": [run[1] for run in runs]}


def _cpu_of_ended() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextmanager
def stack(environment: dict[str, str]) -> Iterator[float]:
    """`rag up` (what `make dev` runs) until its service is ready; the seconds that took."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [RAG, "up", "--json"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        said = b""
        while not said.rstrip().endswith(b"}"):
            line = process.stdout.readline()
            if not line:
                raise RuntimeError("`rag up` ended before it was ready: see its logs")
            said += line
        _answers(json.loads(said)["page"] + "/readyz")
        yield time.perf_counter() - started
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
        process.stdout.close()


def _answers(url: str) -> None:
    deadline = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            pass
        time.sleep(0.05)
    raise RuntimeError(f"{url} did not become ready")


def measure(home: Path, rounds: int) -> dict[str, Any]:
    """All figures; the model is converted already, as after any first use."""
    engine().warm()
    environment = {
        **os.environ,
        "RAG_HOME": str(home),
        "RAG_API_PORT": str(free_port()),
        "RAG_DAGSTER_PORT": str(free_port()),
    }
    found = {"help": commands(rounds, environment, "--help")}
    with stack(environment) as first_s:
        pass
    command(environment, "demo", "--json")
    with stack(environment) as again_s:
        search = ("search", samples.COLLECTION, QUESTION)
        found["search"] = commands(rounds, environment, *search)
        found["word search"] = commands(rounds, environment, *search, "--mode", "bm25")
    found |= {"stack, new home": {"s": [first_s]}, "stack again": {"s": [again_s]}}
    return {"measured": found, "machine": machine()}


def main() -> None:
    """Measure, print and keep."""
    given = dict(word.split("=", 1) for word in sys.argv[1:])
    home = Path(tempfile.mkdtemp(prefix="rag-start-"))
    try:
        figures = measure(home, int(given.get("rounds", 7)))
    finally:
        shutil.rmtree(home, ignore_errors=True)
    keep("start_up", figures)
    for name, columns in figures["measured"].items():
        for unit, values in columns.items():
            print(f"{name}, {unit}: {median(values):.2f} ({min(values):.2f}-{max(values):.2f})")


if __name__ == "__main__":
    main()
