"""What Ray costs on one machine, and what more machines like it would bring: the first measured,
the second RECKONED from it, for no second machine was at hand.

Run: python -m benchmarks.scaling [--documents 12]. Writes benchmarks/results/scaling.{json,md}.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from reportlab.pdfgen.canvas import Canvas

from benchmarks.keeping import keep, machine, results_folder
from rag.cli.backend import open_backend
from rag.cli.binding import find_or_create
from rag.cli.workshop import open_workshop
from rag.ingest.pipeline import STAGES
from rag.ingest.workshop import Workshop
from rag.model import CollectionName, Shard
from rag.store import collections

SHARED = ("parsed_documents", "embeddings")  # what the cluster does
WORKERS = (1, 2, 4, 8, 16, 32)
PAGES = 8
NAMES = (CollectionName("bench", "warm"), CollectionName("bench", "corpus"))
Stages = Mapping[str, tuple[float, float]]  # wall seconds, and seconds of our own processor


def write_corpus(folder: Path, documents: int, seed: int) -> Path:
    """PDFs of distinct prose, a passage or two per page."""
    folder.mkdir()
    rng = random.Random(seed)
    words = ["".join(rng.choices("abcdefghilmnoprstu", k=rng.randint(2, 9))) for _ in range(4000)]
    for number in range(documents):
        canvas = Canvas(str(folder / f"{number:04d}.pdf"))
        for _ in range(PAGES):
            for line in range(28):
                canvas.drawString(60, 780 - 24 * line, " ".join(rng.choices(words, k=9)))
            canvas.showPage()
        canvas.save()
    return folder


def measure(executor: str, warm: Path, corpus: Path) -> tuple[float, Stages]:
    """Seconds of a first run of two documents (imports, models, the cluster), then of each stage
    of the corpus, in the same process."""
    os.environ["RAG_EXECUTOR"] = executor
    with tempfile.TemporaryDirectory() as home:
        os.environ["RAG_HOME"] = home
        with open_backend() as backend:
            found = {name: find_or_create(backend, name) for name in NAMES}
            for name, folder in zip(NAMES, (warm, corpus), strict=True):
                collections.add_source(backend.conn, found[name], f"file://{folder}/")
            with open_workshop(backend, found[NAMES[1]]) as shop:
                first, measured = (run(shop, Shard(name)) for name in NAMES)
    return sum(seconds for seconds, _ in first.values()), measured


def run(shop: Workshop, shard: Shard) -> Stages:
    """Every stage of one collection, as a run of its partition does them."""
    return {stage: timed(partial(do, shop, shard)) for stage, do in STAGES.items()}


def timed(do: Callable[[], object]) -> tuple[float, float]:
    """Wall seconds, and seconds of our own processor."""
    wall, own = time.perf_counter(), time.process_time()
    do()
    return time.perf_counter() - wall, time.process_time() - own


def reckoned(stages: Stages, workers: int) -> float:
    """Seconds with `workers` machines: what the cluster does is divided, what the run's own process
    does is not."""
    serial = sum(wall for stage, (wall, _) in stages.items() if stage not in SHARED)
    own = sum(stages[stage][1] for stage in SHARED)
    spread = sum(stages[stage][0] - stages[stage][1] for stage in SHARED)
    return serial + own + spread / workers


def page(figures: Mapping[str, Any]) -> list[str]:
    """The figures as a page."""
    local, ray = figures["local"], figures["ray"]
    lines = [
        "# Scaling",
        "",
        "`python -m benchmarks.scaling`",
        "",
        f"{figures['documents']} PDFs of {PAGES} pages; {figures['machine']['cores']} cores, load "
        f"average {figures['load'][0]:.1f} before and {figures['load'][1]:.1f} after.",
        "",
        "## Measured on one machine",
        "",
        "| stage | local s | Ray s | of it in the run's own process, s |",
        "|---|--:|--:|--:|",
        f"| first run: two documents, imports, models, cluster | {local['first']:.1f} | "
        f"{ray['first']:.1f} | |",
    ]
    lines += [
        f"| {stage} | {local['stages'][stage][0]:.2f} | {wall:.2f} | {own:.2f} |"
        for stage, (wall, own) in ray["stages"].items()
    ]
    lines += [
        "",
        "## Reckoned, not measured",
        "",
        "From the Ray column: parsing and embedding divided among n machines like this one, the "
        "rest and the run's own process not at all (Amdahl). Network and stragglers are left out, "
        "so this is the best that can be. Part of the rest is the same for any corpus: larger ones "
        "come nearer to n.",
        "",
        "| machines | s | speed-up | share of n |",
        "|--:|--:|--:|--:|",
    ]
    one = reckoned(ray["stages"], 1)
    for workers in WORKERS:
        seconds = reckoned(ray["stages"], workers)
        gain = one / seconds
        lines.append(f"| {workers} | {seconds:.1f} | {gain:.1f} | {gain / workers:.0%} |")
    return lines


def main() -> None:
    """Measure and write the results."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--documents", type=int, default=12)
    documents = arguments.parse_args().documents
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        warm = write_corpus(Path(folder) / "warm", 2, seed=1)
        corpus = write_corpus(Path(folder) / "corpus", documents, seed=2)
        measured = {executor: measure(executor, warm, corpus) for executor in ("local", "ray")}
    figures = {
        "machine": machine(),
        "documents": documents,
        "load": (before, os.getloadavg()[0]),
        **{name: {"first": first, "stages": stages} for name, (first, stages) in measured.items()},
    }
    keep("scaling", figures)
    text = "\n".join(page(figures)) + "\n"
    (results_folder() / "scaling.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
