"""How fast a search is in collections of several sizes, through the real HTTP service with the real
model, and how near to exact, also for filters that let little through.

Run: python -m benchmarks.search [chunks=100000[,1000000]] [rate=10] [seconds=30] [home=FOLDER]
Writes search.json and search.md, beside the sizes that were measured before. A home that is named
is kept, with its collections.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.keeping import keep, kept, results_folder
from benchmarks.retrieval.filling import fill
from benchmarks.retrieval.vectors import embedded, engine
from benchmarks.search import copies, crowd, load, nearness
from benchmarks.search.page import page
from rag.model import CollectionName
from rag.stack.postgres import embedded_postgres
from rag.store.database import connect
from rag.store.migration import migrate

LARGE = CollectionName("bench", "large")
_MADE = 100_000  # chunks of sentences; what is more are copies with vectors near theirs


def options() -> dict[str, str]:
    """The words `name=value` of the command line."""
    return dict(word.split("=", 1) for word in sys.argv[1:])


def prepare(url: str, home: Path, chunks: int) -> dict[str, float]:
    """The collection, unless it is there; the seconds of each stage."""
    migrate(url)
    with connect(url) as conn:
        if conn.execute("select from collection limit 1").fetchone() is not None:
            return {}
    times = max(1, round(chunks / _MADE))
    made = crowd.make(chunks // times, engine())
    # the index is built when all copies are there
    alone = {} if times == 1 else {"own_partition_rows": chunks}
    seconds = fill(
        url, home, LARGE, made.documents, made.vectors, chunk_size=crowd.CHUNK_WORDS + 2, **alone
    )
    with connect(url) as conn:
        if times > 1:
            seconds |= copies.multiply(conn, LARGE, times)
        conn.execute("vacuum analyze")
    return seconds


def measure(home: Path, chunks: int, rate: float, seconds: float) -> dict[str, Any]:
    """All figures of one size."""
    with embedded_postgres(home / "server") as url:
        loaded = prepare(url, home, chunks)
        with connect(url) as conn:
            conn.execute("checkpoint")  # no question pays for writing out what was loaded
        questions = crowd.questions()
        vectors = embedded(questions, engine())
        with connect(url) as conn:
            near = nearness.measure(conn, LARGE, list(zip(questions, vectors, strict=True)))
            parts = nearness.parts(conn, LARGE, list(zip(questions, vectors, strict=True)))
        over_http = load.measure(url, home, str(LARGE), questions, rate, seconds)
    return {
        "chunks": chunks,
        "cores": os.cpu_count(),
        "load_average": os.getloadavg(),
        "stage_s": loaded,
        "recall_at_10_of_exact": near,
        "parts_ms": parts,
        "http": over_http,
    }


def main() -> None:
    """Measure each size and write the results."""
    given = options()
    rate, seconds = float(given.get("rate", 10)), float(given.get("seconds", 30))
    sizes = sorted(int(word) for word in given.get("chunks", "100000").split(","))
    for chunks in sizes:
        with tempfile.TemporaryDirectory() as temporary:
            home = Path(given.get("home", temporary)) / str(chunks)
            home.mkdir(parents=True, exist_ok=True)
            figures = measure(home, chunks, rate, seconds)
        known = {row["chunks"]: row for row in (kept("search") or {}).get("sizes", ())}
        known[chunks] = figures
        found = [known[size] for size in sorted(known)]
        keep("search", {"sizes": found})
        (results_folder() / "search.md").write_text(page(found), encoding="utf-8")
        print(page(found), flush=True)


if __name__ == "__main__":
    main()
