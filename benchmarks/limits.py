"""What this machine can do at best, under each of our steps: COPY of the rows alone, a look at the
files alone. The rate of matrix products is measured in benchmarks/embedding.py.

Run: python -m benchmarks.limits [documents=2000] [rounds=5]. Writes limits.json.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import psycopg
from pgvector import HalfVector
from pgvector.psycopg import register_vector

from benchmarks.incremental.documents import Corpus
from benchmarks.incremental.server import Server, running_server
from benchmarks.incremental.vectors import DIMENSION, vectors_of
from benchmarks.keeping import keep, machine

TABLE = f"""
create extension if not exists vector;
create table row (
    document int, ordinal int, text text, vector halfvec({DIMENSION}),
    primary key (document, ordinal)
);
"""


def copy_seconds(server: Server, texts: list[list[str]]) -> float:
    """Rows of text and vector into one table with a primary key, by binary COPY: nobody who keeps
    the same rows in Postgres is faster."""
    url = server.new_database("limit")
    flat = [text for paragraphs in texts for text in paragraphs]
    vectors = [HalfVector(row) for row in vectors_of(flat, "free").astype(np.float16)]
    with psycopg.connect(url) as conn:
        conn.execute(TABLE.encode())
        conn.commit()
        register_vector(conn)
        server.settle()
        started, number = time.perf_counter(), 0
        with conn.cursor().copy("copy row from stdin with (format binary)") as copy:
            copy.set_types(["int4", "int4", "text", "halfvec"])
            for document, paragraphs in enumerate(texts):
                for ordinal, text in enumerate(paragraphs):
                    copy.write_row((document, ordinal, text, vectors[number]))
                    number += 1
        conn.commit()
        return time.perf_counter() - started


def look_seconds(folder: Path) -> float:
    """Name, size and time of every file: nobody who compares them looks faster."""
    started = time.perf_counter()
    seen = 0
    for part in os.scandir(folder):
        for entry in os.scandir(part):
            seen += entry.stat().st_size > 0
    assert seen
    return time.perf_counter() - started


def main() -> None:
    """Measure, print and keep."""
    given = dict(word.split("=", 1) for word in sys.argv[1:])
    documents, rounds = int(given.get("documents", 2000)), int(given.get("rounds", 5))
    with tempfile.TemporaryDirectory(prefix="rag-limits-") as temporary:
        home = Path(temporary)
        corpus = Corpus(home / "corpus")
        corpus.fill(documents)
        with running_server(home / "server") as server:
            copied = [copy_seconds(server, list(corpus.texts.values())) for _ in range(rounds)]
        looked = [look_seconds(corpus.folder) for _ in range(rounds)]
    rows = sum(map(len, corpus.texts.values()))
    figures = {
        "documents": documents,
        "rows": rows,
        "copy_s": copied,
        "copy_rows_per_s": rows / median(copied),
        "look_s": looked,
        "machine": machine(),
    }
    keep("limits", figures)
    print(
        f"COPY alone: {rows / median(copied):,.0f} rows/s ({rows:,} rows in {median(copied):.2f} s)"
    )
    print(f"a look at {documents:,} files: {median(looked) * 1000:.0f} ms")


if __name__ == "__main__":
    main()
