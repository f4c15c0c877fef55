"""False alarms and power of the drift checks over real passages: `python -m benchmarks.drift`.

Vectors of SciFact abstracts (and Cranfield ones, as the new topic) are made once by the engine and
kept in a folder outside the repository (`RAG_BENCH_CACHE`, default the system's temporary folder).
Stable: reference and recent are drawn at random from the same abstracts. Injected: that share of
the recent ones is replaced by the other collection's."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from rag.drift.judgement import Sample, embedding_drift, mix_drift, query_drift, topic_drift

DATA = Path(os.environ.get("RAG_TEST_DATA", "../shared/data")) / "retrieval"
CACHE = Path(os.environ.get("RAG_BENCH_CACHE", tempfile.gettempdir())) / "rag-drift-vectors.npz"
PASSAGES = {"scifact": 2_500, "cranfield": 500, "questions": 1_100}
SECONDS = float(os.environ.get("RAG_BENCH_S", "80"))


def texts() -> dict[str, list[str]]:
    """Passages and questions of the collections."""

    def lines(name: str) -> list[dict[str, str]]:
        with (DATA / "scifact" / name).open(encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    abstracts = [f"{row['title']}. {row['text']}"[:1_200] for row in lines("corpus.jsonl")]
    xml = (DATA / "cranfield" / "cran.all.1400.xml").read_text(encoding="utf-8")
    other = [
        " ".join(text.split())[:1_200] for text in re.findall(r"<text>(.*?)</text>", xml, re.S)
    ]
    return {
        "scifact": abstracts[: PASSAGES["scifact"]],
        "cranfield": [text for text in other if text][: PASSAGES["cranfield"]],
        "questions": [row["text"] for row in lines("queries.jsonl")][: PASSAGES["questions"]],
    }


def vectors() -> dict[str, np.ndarray]:
    """The vectors of all texts, and their lengths in words."""
    if not CACHE.exists():
        from rag.embed.engine import open_embedder
        from rag.settings import load_settings

        settings = load_settings()
        engine = open_embedder(settings.embedding_model, "bf16", cache=settings.home / "models")
        made = {}
        for name, passages in texts().items():
            made[name] = engine.embed(passages)
            made[f"{name}_words"] = np.array([len(text.split()) for text in passages])
        np.savez(CACHE, **made)
    return dict(np.load(CACHE))


def sample(data: dict[str, np.ndarray], name: str, rows: np.ndarray) -> Sample:
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
    data: dict[str, np.ndarray], random: np.random.Generator, sizes: tuple[int, int], share: float
) -> dict[str, bool]:
    """Which checks alarm in one draw."""
    first, second = sizes
    order = random.permutation(len(data["scifact"]))
    foreign = round(second * share)
    before = sample(data, "scifact", order[:first])
    after = sample(data, "scifact", order[first : first + second - foreign])
    if foreign:
        chosen = random.permutation(len(data["cranfield"]))[:foreign]
        after = joined(after, sample(data, "cranfield", chosen))
    alarms = {
        judge.__name__: judge(before, after).state != "alike"
        for judge in (embedding_drift, topic_drift, mix_drift)
    }
    asked = random.permutation(len(data["questions"]))
    old, new = data["questions"][asked[:first]], data["questions"][asked[first : first + second]]
    if foreign:
        new = np.concatenate([new[foreign:], data["cranfield"][chosen]])
    alarms["query_drift"] = query_drift(old, new, before.vectors).state != "alike"
    return alarms


def main() -> None:
    data = vectors()
    random = np.random.default_rng(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    cases = [((50, 50), 0.0), ((400, 200), 0.0), ((400, 200), 0.05), ((400, 200), 0.1),
             ((400, 200), 0.2), ((400, 200), 0.4), ((50, 50), 0.2), ((50, 50), 0.4)]  # fmt: skip
    shares = [0.35, 0.35, *[0.05] * 6]
    print("| reference / recent | new topic | trials | embedding | topic | mix | query |")
    print("|---|---|---|---|---|---|---|")
    for (sizes, share), part in zip(cases, shares, strict=True):
        ends, found = time.monotonic() + SECONDS * part, []
        while time.monotonic() < ends:
            found.append(trial(data, random, sizes, share))
        rates = [np.mean([item[name] for item in found]) for name in found[0]]
        cells = " | ".join(f"{rate:.3f}" for rate in rates)
        print(f"| {sizes[0]} / {sizes[1]} | {share:.0%} | {len(found)} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
