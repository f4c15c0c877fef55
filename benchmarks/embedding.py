"""How fast the embedding engine is, against sentence-transformers and against the processor.

    python -m benchmarks.embedding [--texts 128] [--rounds 5]

Rounds are interleaved, so that other work on the machine disturbs all contenders alike; the ratio
of each round is taken within the round. Texts are SciFact abstracts where RAG_TEST_DATA has them,
else generated prose. Writes embedding.{json,md}. On a machine with other work
the ratio of processor time is the safer one: threads that wait for each other lose more to others.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.keeping import keep, machine, results_folder
from benchmarks.matrix_peak import peak
from rag.embed.compiled import fastest_within
from rag.embed.engine import EmbeddingEngine, Precision, open_embedder
from rag.embed.pretrained import bundled_model_folder
from rag.embed.tokenizer import ModelTokenizer

MODEL = "sentence-transformers/all-MiniLM-L6-v2"
ROOT = Path(__file__).resolve().parents[1]
BASELINE = "sentence-transformers, defaults (fp32, batch 32)"
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "int8")
# multiplications and additions per token in the matrix products of the six layers
PRODUCT_FLOP = 2 * 6 * (4 * 384 * 384 + 2 * 384 * 1536)
ATTENTION_FLOP = 4 * 6 * 384  # per pair of tokens

Embed = Callable[[list[str]], NDArray[np.float32]]


@dataclass
class Contender:
    """One way to embed, and what it took in each round."""

    name: str
    embed: Embed
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    vectors: NDArray[np.float32] | None = None

    def run(self, texts: list[str]) -> None:
        started, cpu = time.perf_counter(), time.process_time()
        self.vectors = self.embed(texts)
        self.seconds.append(time.perf_counter() - started)
        self.cpu_seconds.append(time.process_time() - cpu)


def corpus(count: int) -> tuple[str, list[str]]:
    """The name of the corpus and its first `count` texts."""
    data = Path(os.environ.get("RAG_TEST_DATA", ROOT.parent / "shared" / "data"))
    file = data / "retrieval" / "scifact" / "corpus.jsonl"
    if file.is_file():
        with file.open(encoding="utf-8") as lines:
            rows = [json.loads(line) for line, _ in zip(lines, range(count), strict=False)]
        return "SciFact abstracts", [f"{row['title']} {row['text']}" for row in rows]
    dice = random.Random(11)
    words = ["wind", "ice", "gauge", "mast", "station", "ridge", "report", "cable", "sensor"]
    prose = [" ".join(dice.choices(words, k=dice.randint(120, 320))) for _ in range(count)]
    return "generated prose", prose


def contenders(cache: Path) -> list[Contender]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sentence_transformers import SentenceTransformer

        plain = SentenceTransformer(str(bundled_model_folder()), device="cpu")

    def defaults(texts: list[str]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = plain.encode(texts, show_progress_bar=False)
        return found

    engines = [
        Contender(f"engine, {precision}", open_embedder(MODEL, precision, cache, "cpu").embed)
        for precision in PRECISIONS
    ]
    return [Contender(BASELINE, defaults), *engines]


def work(texts: list[str]) -> tuple[float, float]:
    """Mean tokens per text, special ones included, and GFLOP for all texts."""
    tokenizer = ModelTokenizer(bundled_model_folder())
    counts = np.minimum(np.array(tokenizer.count(texts)) + 2, tokenizer.max_tokens)
    flop = (counts * PRODUCT_FLOP + counts**2 * ATTENTION_FLOP).sum()
    return float(counts.mean()), float(flop / 1e9)


_COLD = """
import sys, time
started, cpu = time.perf_counter(), time.process_time()
from pathlib import Path
from rag.embed.engine import open_embedder
open_embedder(sys.argv[1], sys.argv[2], Path(sys.argv[3]), "cpu").embed_query("frozen wind")
spent = time.perf_counter() - started, time.process_time() - cpu
status = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
print(*spent, int(status) / 1024)
"""


def cold_start(precision: str, cache: Path) -> dict[str, float]:
    """Seconds, processor seconds and memory of a fresh process up to its first vector."""
    command = [sys.executable, "-c", _COLD, MODEL, precision, str(cache)]
    runs = [
        [float(part) for part in subprocess.check_output(command, text=True, cwd=ROOT).split()]
        for _ in range(5)
    ]
    wall, cpu, memory = zip(*runs, strict=True)
    return {"wall_s": median(wall), "cpu_s": median(cpu), "memory_mb": median(memory)}


def query_latency(engine: EmbeddingEngine) -> float:
    """Median milliseconds of one warm search text."""
    engine.warm()
    spent = []
    for number in range(50):
        started = time.perf_counter()
        engine.embed_query(f"what does frozen wind look like {number}")
        spent.append(time.perf_counter() - started)
    return median(spent) * 1000


def row(contender: Contender, baseline: Contender, texts: int, gflop: float) -> dict[str, Any]:
    ratios = [a / b for a, b in zip(baseline.seconds, contender.seconds, strict=True)]
    cpu = [a / b for a, b in zip(baseline.cpu_seconds, contender.cpu_seconds, strict=True)]
    assert contender.vectors is not None
    assert baseline.vectors is not None
    cosine = (contender.vectors * baseline.vectors).sum(axis=1)
    rates = [texts / seconds for seconds in contender.seconds]
    return {
        "name": contender.name,
        "chunks_per_s": median(rates),
        "chunks_per_s_best": max(rates),
        "ratio": median(ratios),
        "ratio_spread": [min(ratios), max(ratios)],
        "ratio_best_rounds": min(baseline.seconds) / min(contender.seconds),
        "cpu_ratio": median(cpu),
        "gflop_per_cpu_s": gflop / min(contender.cpu_seconds),
        "cosine_min": float(cosine.min()),
        "cosine_mean": float(cosine.mean()),
    }


def measure(count: int, rounds: int, cache: Path) -> dict[str, Any]:
    name, texts = corpus(count)
    tokens, gflop = work(texts)
    runners = contenders(cache)
    peaks: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    for runner in runners:  # warm: conversion, kernels and caches are not what is compared
        runner.embed(texts[: max(8, count // 4)])
    for number in range(rounds):
        for runner in runners[number % 4 :] + runners[: number % 4]:
            runner.run(texts)
        for kind, found in peaks.items():
            found.append(peak(fastest_within(kind)))
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "corpus": {"name": name, "texts": len(texts), "tokens_per_text": tokens},
        "rounds": rounds,
        "int8_computes": fastest_within("int8"),
        "peak_gflop_per_cpu_s": {kind: max(found) for kind, found in peaks.items()},
        "contenders": [row(runner, runners[0], len(texts), gflop) for runner in runners],
        "cold_start": {kind: cold_start(kind, cache) for kind in ("bf16", "int8")},
        "query_ms": {
            kind: query_latency(open_embedder(MODEL, kind, cache, "cpu"))
            for kind in ("bf16", "int8")
        },
    }


def report(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    machine, corpus = result["machine"], result["corpus"]
    peaks = result["peak_gflop_per_cpu_s"]
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, {', '.join(machine['instructions'])}; "
        f"load average {machine['load_average']:.1f}. "
        + ", ".join(f"{name} {number}" for name, number in machine["packages"].items()),
        "",
        f"{corpus['texts']} {corpus['name']} of {corpus['tokens_per_text']:.0f} tokens, "
        f"{result['rounds']} interleaved rounds. Measured peak of matrix products: "
        + ", ".join(f"{kind} {peaks[kind]:.0f}" for kind in PRECISIONS)
        + " GFLOP per processor second. The mode int8 computes "
        f"{result['int8_computes']} on this processor.",
        "",
        "| contender | chunks/s, median (best) | ratio (spread) | ratio in processor time | "
        "share of the peak | cosine to fp32, least (mean) |",
        "|---|---|---|---|---|---|",
    ]
    for entry in result["contenders"]:
        kind = next(kind for kind in PRECISIONS if kind in entry["name"])
        share = entry["gflop_per_cpu_s"] / peaks[kind]
        low, high = entry["ratio_spread"]
        lines.append(
            f"| {entry['name']} | {entry['chunks_per_s']:.1f} ({entry['chunks_per_s_best']:.1f}) | "
            f"{entry['ratio']:.2f} ({low:.2f}-{high:.2f}) | {entry['cpu_ratio']:.2f} | "
            f"{share:.0%} of {kind} | "
            f"{entry['cosine_min']:.5f} ({entry['cosine_mean']:.5f}) |"
        )
    lines.append("")
    for kind, cold in result["cold_start"].items():
        lines.append(
            f"Cold process to first vector, {kind}: {cold['wall_s']:.2f} s "
            f"({cold['cpu_s']:.2f} processor seconds), {cold['memory_mb']:.0f} MB; "
            f"warm query {result['query_ms'][kind]:.1f} ms."
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--texts", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        result = measure(given.texts, given.rounds, Path(cache))
    keep("embedding", result)
    (results_folder() / "embedding.md").write_text(report(result) + "\n", encoding="utf-8")
    print(report(result))


if __name__ == "__main__":
    main()
