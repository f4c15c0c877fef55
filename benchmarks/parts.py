"""The parts of the harness: what is run, at what size, and for how long at most."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.keeping import results_folder
from benchmarks.retrieval.judged import data_folder

ROOT = Path(__file__).parents[1]
Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A module to run, with its words in the full and in the quick profile; without words for a
    profile it is left out there."""

    name: str
    module: str
    full: Words | None
    quick: Words | None
    timeout_s: int
    needs_data: bool = False
    is_on_demand: bool = False  # only when named


ENGINE = "engine"
LARGE = "engine-large"
BULK_LARGE = "bulk-large"
_FIRST = "rename 5 %"
PARTS = (
    Part("limits", "benchmarks.limits", ("documents=2000",), ("documents=500", "rounds=3"), 300),
    Part(
        "embedding", "benchmarks.embedding",
        ("--texts", "96", "--rounds", "5"), ("--texts", "32", "--rounds", "3"), 900,
    ),
    Part(
        "incremental", "benchmarks.incremental",
        ("documents=1000", "rounds=3", f"until={_FIRST}", f"name={ENGINE}",
         "only=ours,ours_sharded,by_hand,cocoindex,llamaindex,langchain"),
        ("documents=300", "rounds=1", f"until={_FIRST}", f"name={ENGINE}",
         "only=ours,ours_sharded,by_hand,cocoindex,llamaindex"), 1800,
    ),
    Part(
        "no-op", "benchmarks.incremental",
        ("documents=10000", "rounds=3", "until=edit 1 %", f"name={LARGE}",
         "only=ours,ours_sharded,by_hand,cocoindex"), None, 1800,
    ),
    Part(
        "bulk", "benchmarks.bulk",
        ("chunks=600", "rounds=2", "only=ours,by_hand,cocoindex,llamaindex,langchain"),
        ("chunks=90", "rounds=1", "only=ours,by_hand,cocoindex"),
        2400, needs_data=True,
    ),
    # the others need minutes for so much
    Part(
        "bulk-large", "benchmarks.bulk",
        ("chunks=6000", "rounds=1", "only=ours,ours_sharded", f"name={BULK_LARGE}"), None, 900,
        needs_data=True,
    ),
    Part("precision", "benchmarks.precision", (), None, 2400, needs_data=True),
    Part("retrieval", "benchmarks.retrieval", (), ("cranfield",), 1800, needs_data=True),
    Part(
        "search", "benchmarks.search", ("chunks=10000,100000", "rate=5"),
        ("chunks=10000", "rate=5", "seconds=10"), 1800, needs_data=True,
    ),
    Part(
        "search-peers", "benchmarks.search.beside", ("chunks=20000",), None, 1200, needs_data=True,
    ),
    Part("main_job", "benchmarks.main_job", ("--puts", "8"), ("--puts", "2"), 900),
    Part("put-peers", "benchmarks.put_beside", ("puts=8",), None, 600),
    Part("start_up", "benchmarks.start_up", (), ("rounds=3",), 600),
    # too long for a run of everything
    Part(
        "million", "benchmarks.incremental", ("memory", "1000", "10000", "125000"), None, 7200,
        is_on_demand=True,
    ),
    Part(
        "search-million", "benchmarks.search", ("chunks=1000000", "rate=5"), None, 7200,
        needs_data=True, is_on_demand=True,
    ),
)  # fmt: skip


def run(part: Part, words: Words) -> dict[str, Any]:
    """Run a part in a process of its own; how it went. A part that fails stops no other."""
    if part.needs_data and not data_folder().is_dir():
        return {"outcome": "left out: RAG_TEST_DATA names no folder with the judged collections"}
    started = time.perf_counter()
    command = [sys.executable, "-m", part.module, *words]
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, "RAG_BENCH_RESULTS": str(results_folder())},
            timeout=part.timeout_s,
            check=False,
        )
        outcome = "done" if done.returncode == 0 else f"failed with exit code {done.returncode}"
    except subprocess.TimeoutExpired:
        outcome = f"stopped after {part.timeout_s} s"
    return {
        "outcome": outcome,
        "words": list(words),
        "seconds": round(time.perf_counter() - started, 1),
        "load_average": round(os.getloadavg()[0], 1),
    }
