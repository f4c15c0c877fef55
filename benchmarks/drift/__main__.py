"""False alarms and power of the drift checks over real passages: `python -m benchmarks.drift`.

Vectors of three collections are made once by the engine and kept in a folder outside the repository
(`RAG_BENCH_CACHE`, default the system's temporary folder). Stable: reference and recent are drawn
at random from one collection. Injected: that share of the recent ones is of another collection.
`RAG_BENCH_S` is how long it may take; every row gets its part. Writes benchmarks/results/drift.md.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.retrieval.judged import load
from rag.drift.judgement import (
    Asked,
    Sample,
    embedding_drift,
    mix_drift,
    outcome_drift,
    query_drift,
    topic_drift,
)

CACHE = Path(os.environ.get("RAG_BENCH_CACHE", tempfile.gettempdir())) / "rag-drift-vectors-3.npz"
SECONDS = float(os.environ.get("RAG_BENCH_S", "80"))
RESULT = Path(__file__).parents[1] / "results" / "drift.md"
MOST = 1_200  # passages, and questions, of a collection
PAIRS = (("scifact", "cranfield"), ("cranfield", "scifact"), ("squad", "scifact"))
SMALL, LARGE = (50, 50), (400, 200)
CHECKS = ("embedding", "topic", "mix", "query", "outcome")
# sizes, share of the new topic, part of the time: false alarms are rare and need many trials
CASES = (
    (SMALL, 0.0, 0.25), (LARGE, 0.0, 0.25), (LARGE, 0.05, 0.08), (LARGE, 0.1, 0.08),
    (LARGE, 0.2, 0.08), (LARGE, 0.4, 0.08), (SMALL, 0.2, 0.09), (SMALL, 0.4, 0.09),
)  # fmt: skip
_QUIET, _MISSED = 0.05, 0.6  # questions without a hit: as ever, and among those on a new topic

Vectors = dict[str, np.ndarray]


@dataclass(frozen=True)
class Row:
    """What became of the trials of one case."""

    pair: tuple[str, str]
    sizes: tuple[int, int]
    share: float
    trials: int
    rates: dict[str, float]


def vectors() -> Vectors:
    """The vectors of passages and questions, and the passages' lengths in words."""
    if not CACHE.exists():
        from rag.embed.engine import open_embedder
        from rag.settings import load_settings

        settings = load_settings()
        engine = open_embedder(settings.embedding_model, "bf16", cache=settings.home / "models")
        made = {}
        for name in dict.fromkeys(name for pair in PAIRS for name in pair):
            judged = load(name)
            passages = [text[:1_200] for text in judged.passages.values() if text.strip()][:MOST]
            made[name] = engine.embed(passages)
            made[f"{name}_words"] = np.array([len(text.split()) for text in passages])
            made[f"{name}_asked"] = engine.embed(list(judged.questions.values())[:MOST])
        np.savez(CACHE, **made)
    return dict(np.load(CACHE))


def sample(data: Vectors, name: str, rows: np.ndarray) -> Sample:
    words = data[f"{name}_words"][rows]
    types = np.where(data[name][rows][:, 0] > 0, "pdf", "html")  # a property of the text alone
    return Sample(data[name][rows], tuple(types), ("en",) * len(rows), tuple(words.tolist()))


def joined(first: Sample, second: Sample) -> Sample:
    return Sample(
        np.concatenate([first.vectors, second.vectors]),
        first.media_types + second.media_types,
        first.languages + second.languages,
        first.words + second.words,
    )


def trial(
    data: Vectors, random: np.random.Generator, pair: tuple[str, str], sizes: tuple[int, int],
    share: float,
) -> dict[str, bool]:  # fmt: skip
    """Which checks alarm in one draw."""
    (base, other), (first, second) = pair, sizes
    foreign = round(second * share)
    order = random.permutation(len(data[base]))
    before = sample(data, base, order[:first])
    after = sample(data, base, order[first : first + second - foreign])
    if foreign:
        chosen = random.permutation(len(data[other]))[:foreign]
        after = joined(after, sample(data, other, chosen))
    alarms = {
        name: judge(before, after).state != "alike"
        for name, judge in (("embedding", embedding_drift), ("topic", topic_drift),
                            ("mix", mix_drift))
    }  # fmt: skip
    asked, strange = data[f"{base}_asked"], data[f"{other}_asked"]
    if len(asked) >= first + second and len(strange) >= foreign:
        order = random.permutation(len(asked))
        new = asked[order[first : first + second - foreign]]
        new = np.concatenate([new, strange[random.permutation(len(strange))[:foreign]]])
        found = query_drift(asked[order[:first]], new, before.vectors)
        alarms["query"] = found.state != "alike"
    alarms["outcome"] = outcome_drift(
        answers(random, first, 0), answers(random, second, foreign)
    ).state != "alike"  # fmt: skip
    return alarms


def answers(random: np.random.Generator, asked: int, foreign: int) -> Asked:
    """What became of questions, of which so many are on a topic that the documents lack."""
    missed = int(random.binomial(asked - foreign, _QUIET) + random.binomial(foreign, _MISSED))
    low = int(random.binomial(asked - foreign, _QUIET) + random.binomial(foreign, _MISSED))
    down = int(random.binomial(asked // 10, _QUIET))
    return Asked(asked, missed, missed, low, asked // 10, down)


def run(seed: int) -> Iterator[Row]:
    """Every case with every pair, as many trials as its time allows."""
    data, random = vectors(), np.random.default_rng(seed)
    for sizes, share, part in CASES:
        for pair in PAIRS:
            ends, found = time.monotonic() + SECONDS * part / len(PAIRS), []
            while time.monotonic() < ends or not found:
                found.append(trial(data, random, pair, sizes, share))
            rates = {
                name: float(np.mean([item[name] for item in found if name in item]))
                for name in CHECKS
                if any(name in item for item in found)
            }
            yield Row(pair, sizes, share, len(found), rates)


def cells(row: Row) -> str:
    """A line of the table."""
    rates = [f"{row.rates[name]:.3f}" if name in row.rates else "-" for name in CHECKS]
    told = f"{row.pair[1]} {row.share:.0%}" if row.share else "none"
    named = [row.pair[0], f"{row.sizes[0]} / {row.sizes[1]}", told, str(row.trials), *rates]
    return "| " + " | ".join(named) + " |"


def main() -> None:
    started = time.monotonic()
    head = ["| collection | reference / recent | new topic | trials | "
            + " | ".join(CHECKS) + " |", "|---|---|---|" + "---:|" * 6]  # fmt: skip
    print("\n".join(head))
    rows = []
    for row in run(int(sys.argv[1]) if len(sys.argv) > 1 else 0):
        rows.append(row)
        print(cells(row), flush=True)
    stable = [row for row in rows if not row.share]
    total = sum(row.trials for row in stable)
    alarms = {
        name: (
            round(sum(row.rates[name] * row.trials for row in stable if name in row.rates)),
            sum(row.trials for row in stable if name in row.rates),
        )
        for name in CHECKS
    }
    said = ", ".join(f"{name} {wrong} of {judged}" for name, (wrong, judged) in alarms.items())
    text = (
        "# Drift: false alarms and power\n\n"
        f"`RAG_BENCH_S={SECONDS:.0f} python -m benchmarks.drift`, {time.monotonic() - started:.0f} "
        "s on two shared cores; share of trials in which a check failed. What it means: "
        "docs/drift.md.\n\n"
        f"False alarms in {total} trials where nothing had changed: {said}.\n\n"
    )
    RESULT.write_text(text + "\n".join([*head, *map(cells, rows)]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
