"""What a change of chunker or model costs beside a cold build, and how many vectors are reused.

    python -m benchmarks.generations [documents=200] [model=fake|real] [name=generations]

Documents are made of seeded sentences with headings. Cold: an empty database. Chunker: another
overlap. Model: another precision of the real model, or another fake one. Every change is planned
first, and the plan is compared with what came. The rules: benchmarks/README.md.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.incremental.server import running_server
from rag.generations.plan import plan_index
from rag.generations.promotion import build_candidate, promote, roll_back
from rag.ingest.current import with_recipe
from rag.ingest.workshop import Engines, Workshop
from rag.settings import Settings
from rag.store.database import connect
from rag.store.migration import migrate
from rag_assets_tests.fakes import FakeTokenizer
from rag_assets_tests.fakes_embed import FakeEmbedder
from rag_assets_tests.ingest.harness import Harness

RESULTS = Path(__file__).parents[1] / "results"
WORDS = [f"word{number}" for number in range(4000)]
CHANGES: dict[str, dict[str, dict[str, object]]] = {
    "fake": {
        "nothing": {},
        "chunk_overlap 50 -> 40": {"chunk_overlap": 40},
        "chunk_size 256 -> 200": {"chunk_size": 200},
        "chunk_prefix headings -> title": {"chunk_prefix": "title"},
        "another model": {"embedding_model": "another"},
    },
    "real": {
        "nothing": {},
        "chunk_overlap 50 -> 40": {"chunk_overlap": 40},
        "chunk_prefix headings -> title": {"chunk_prefix": "title"},
        "another model (int8)": {"embedding_precision": "int8"},
    },
}


def main() -> None:
    """Read the command line, measure, write the results."""
    options = dict(argument.split("=", 1) for argument in sys.argv[1:])
    documents, model = int(options.get("documents", 200)), options.get("model", "fake")
    with (
        tempfile.TemporaryDirectory(prefix="rag-bench-") as folder,
        running_server(Path(folder) / "server") as server,
    ):
        url = server.new_database("generations")
        migrate(url)
        with connect(url) as conn:
            rows = measure(Bench(conn, url, Path(folder)), documents, model)
    text = table(rows, documents, model)
    name = options.get("name", "generations")
    (RESULTS / f"{name}.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    (RESULTS / f"{name}.md").write_text(text, encoding="utf-8")
    print(text)


class Bench(Harness):
    """The harness with the settings' own chunk sizes and engines by recipe."""

    real = False

    def shop(self) -> Workshop:
        """The tools of a run."""
        self.settings = {"chunk_size": 256, "chunk_overlap": 50}
        made = super().shop()
        engines = self.open(made.settings)
        return replace(
            made, tokenizer=engines.tokenizer, embedder=engines.embedder, open_engines=self.open
        )

    def open(self, settings: Settings) -> Engines:
        """The engines of a recipe."""
        if self.real:
            from rag.cli.workshop import open_engines

            return open_engines(settings)
        return Engines(FakeTokenizer(), FakeEmbedder(name=settings.embedding_model))


def document(number: int) -> str:
    """About ten passages under four headings."""
    chance = random.Random(number)
    parts = [f"# Document {number}"]
    for section in range(4):
        parts.append(f"# Section {section}")
        for _ in range(6):
            sentences = [" ".join(chance.choices(WORDS, k=14)).capitalize() + "." for _ in range(6)]
            parts.append(" ".join(sentences))
    return "\n\n".join(parts)


def measure(bench: Bench, documents: int, model: str) -> list[dict[str, Any]]:
    """One row for the cold build and one per change, each from the same live generation."""
    bench.real = model == "real"
    for number in range(documents):
        bench.source.put(f"{number}.txt", document(number).encode())
    started = time.perf_counter()
    counts = bench.run()
    rows: list[dict[str, Any]] = [{
        "change": "cold", "seconds": time.perf_counter() - started,
        "embedded": counts["embeddings"]["embedded"], "chunks": counts["chunks"]["total"],
    }]  # fmt: skip
    for change, recipe in CHANGES[model].items():
        rows.append({"change": change, **one_change(bench, recipe, rows[0]["seconds"])})
    return rows


def one_change(bench: Bench, recipe: dict[str, object], cold_s: float) -> dict[str, Any]:
    """Plan, build, promote and roll back one change."""
    shop = bench.shop()
    plan = plan_index(with_recipe(shop, recipe), bench.shard)
    started = time.perf_counter()
    built = build_candidate(shop, bench.name, recipe, is_held=True)
    seconds = time.perf_counter() - started
    row: dict[str, Any] = {
        "seconds": seconds, "of_cold": seconds / cold_s, "embedded": built.embedded,
        "chunks": built.chunks, "planned_vectors": plan.vectors_new,
        "planned_chunks": plan.chunks, "planned_seconds": plan.seconds,
    }  # fmt: skip
    distinct = plan.vectors_new + plan.vectors_reused
    row["reused"] = 1 - built.embedded / distinct if distinct else 1.0
    if not built.is_live:
        promote(bench.conn, bench.name, built.generation, shop.settings)
        started = time.perf_counter()
        roll_back(bench.conn, bench.name, shop.settings)
        row["roll_back_s"] = time.perf_counter() - started
    return row


def table(rows: list[dict[str, Any]], documents: int, model: str) -> str:
    """The rows as Markdown."""
    lines = [
        f"# Generations: {documents} documents, {model} model",
        "",
        "| change | seconds | of cold | vectors made | planned | reused | chunks | planned | "
        "roll-back |",
        "| --- " + "| ---: " * 8 + "|",
    ]
    for row in rows:
        back = f"{row['roll_back_s'] * 1000:.0f} ms" if "roll_back_s" in row else ""
        lines.append(
            f"| {row['change']} | {row['seconds']:.2f} | {row.get('of_cold', 1):.1%} "
            f"| {row['embedded']:,} | {row.get('planned_vectors', '')} "
            f"| {row.get('reused', 0):.1%} | {row['chunks']:,} | {row.get('planned_chunks', '')} "
            f"| {back} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
