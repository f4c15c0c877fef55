"""How fast a search is in 100,000 passages, through the real HTTP service with the real model, and
how near to exact, also for filters that let little through.

Run: python -m benchmarks.search [passages=100000] [rate=10] [seconds=30] [home=FOLDER]
Writes benchmarks/results/search.{json,md}. A home that is named is kept, with its collection.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.retrieval.filling import fill
from benchmarks.retrieval.vectors import embedded, engine
from benchmarks.search import crowd, load, nearness
from rag.model import CollectionName
from rag.stack.postgres import embedded_postgres
from rag.store.database import connect
from rag.store.migration import migrate

RESULTS = Path(__file__).parent.parent / "results"
LARGE = CollectionName("bench", "large")


def options() -> dict[str, str]:
    """The words `name=value` of the command line."""
    return dict(word.split("=", 1) for word in sys.argv[1:])


def prepare(url: str, home: Path, passages: int) -> dict[str, float]:
    """The collection, unless it is there; the seconds of each stage."""
    migrate(url)
    with connect(url) as conn:
        if conn.execute("select from collection limit 1").fetchone() is not None:
            return {}
    made = crowd.make(passages, engine())
    seconds = fill(url, home, LARGE, made.documents, made.vectors, chunk_size=crowd.CHUNK_WORDS + 2)
    with connect(url) as conn:
        conn.execute("vacuum analyze")
    return seconds


def measure(home: Path, given: dict[str, str]) -> dict[str, Any]:
    """All figures."""
    passages = int(given.get("passages", 100_000))
    rate, seconds = float(given.get("rate", 10)), float(given.get("seconds", 30))
    with embedded_postgres(home / "server") as url:
        loaded = prepare(url, home, passages)
        questions = crowd.questions()
        vectors = embedded(questions, engine())
        with connect(url) as conn:
            near = nearness.measure(conn, LARGE, list(zip(questions, vectors, strict=True)))
            parts = nearness.parts(conn, LARGE, list(zip(questions, vectors, strict=True)))
        over_http = load.measure(url, home, str(LARGE), questions, rate, seconds)
    return {
        "passages": passages,
        "cores": os.cpu_count(),
        "load_average": os.getloadavg(),
        "stage_s": loaded,
        "recall_at_10_of_exact": near,
        "parts_ms": parts,
        "http": over_http,
    }


def page(figures: dict[str, Any]) -> str:
    """The figures as Markdown."""
    http = figures["http"]
    lines = [
        f"# Search in {figures['passages']:,} passages",
        "",
        "`python -m benchmarks.search`; milliseconds unless said otherwise; "
        f"{figures['cores']} cores, load average {figures['load_average'][0]:.1f} at the end.",
        "",
        "## POST /query, hybrid, k = 10, each question new to the service",
        "",
        "| | p50 | p95 | p99 |",
        "|---|---:|---:|---:|",
    ]
    lines += [
        f"| {name.replace('_', ' ')} | {row['p50']:.1f} | {row['p95']:.1f} | {row['p99']:.1f} |"
        for name, row in http.items()
        if name in ("one_at_a_time", "open_loop")
    ]
    lines += [
        "",
        f"Open loop: {http['open_loop']['rate']:.0f} questions a second, time counted from when a "
        f"question was due; {http['open_loop']['failed']} failed. Closed loop with 4 callers: "
        f"{http['throughput']:.0f} questions a second. In the service: encoding "
        f"{http['encode_ms']:.1f} ms, search {http['search_ms']:.1f} ms (medians). Processor time "
        f"of a question: {http['cpu_ms']['service']:.1f} ms in the service, "
        f"{http['cpu_ms']['postgres']:.1f} ms in Postgres.",
        "",
        "## Parts of one search (in process, without encoding)",
        "",
        "| part | p50 | p95 |",
        "|---|---:|---:|",
    ]
    lines += [f"| {n} | {v['p50']:.1f} | {v['p95']:.1f} |" for n, v in figures["parts_ms"].items()]
    lines += ["", "## Recall@10 of exact", "", "| rows let through | recall@10 |", "|---|---:|"]
    lines += [f"| {n} | {v:.3f} |" for n, v in figures["recall_at_10_of_exact"].items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write the results."""
    given = options()
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(given.get("home", temporary))
        home.mkdir(parents=True, exist_ok=True)
        figures = measure(home, given)
    (RESULTS / "search.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "search.md").write_text(page(figures), encoding="utf-8")
    print(page(figures))


if __name__ == "__main__":
    main()
