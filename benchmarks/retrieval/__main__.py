"""How good what is found is: nDCG@10, recall@10 and @100, MRR of the platform's lists, beside bm25s
and plain cosine similarity in the same run.

Run: python -m benchmarks.retrieval [scifact cranfield squad | a BEIR-style folder ...]
Writes benchmarks/results/retrieval.{json,md}. Needs the extra `bench`.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.keeping import keep, results_folder
from benchmarks.retrieval.filling import ReadyEmbedder, fill
from benchmarks.retrieval.judged import LOADERS, Judged, load
from benchmarks.retrieval.vectors import embedded, engine
from rag.embed.engine import EmbeddingEngine
from rag.model import CollectionName
from rag.search import Mode, search
from rag.stack.postgres import embedded_postgres
from rag.store.database import Connection, connect
from rag.store.migration import migrate

DEPTH = 100
MODES: tuple[Mode, ...] = ("dense", "bm25", "rrf", "hybrid")
Run = dict[str, dict[str, float]]  # question -> passage -> score


def judge(collection: Judged, found: Run) -> dict[str, float]:
    """The four measures, by name."""
    import ir_measures
    from ir_measures import RR, R, nDCG

    values = ir_measures.calc_aggregate(
        [nDCG @ 10, R @ 10, R @ 100, RR @ 10], collection.judgements, found
    )
    return {str(measure): round(float(value), 4) for measure, value in values.items()}


def ours(
    conn: Connection, name: CollectionName, collection: Judged, vectors: Any
) -> dict[Mode, Run]:
    """What each mode of the platform finds."""
    embedder = ReadyEmbedder(vectors, 384)
    return {
        mode: {
            key: {
                hit.document: 1.0 / rank
                for rank, hit in enumerate(
                    search(conn, embedder, name, question, k=DEPTH, mode=mode).hits, start=1
                )
            }
            for key, question in collection.questions.items()
        }
        for mode in MODES
    }


def cosine(collection: Judged, passages: np.ndarray, questions: np.ndarray) -> Run:
    """Plain cosine similarity of the same vectors, in 4-byte floats."""
    ids = list(collection.passages)
    found: Run = {}
    for key, similar in zip(collection.questions, questions @ passages.T, strict=True):
        best = np.argsort(-similar, kind="stable")[:DEPTH]
        found[key] = {ids[at]: float(similar[at]) for at in best}
    return found


def by_bm25s(collection: Judged) -> Run:
    """bm25s with its defaults (k1 = 1.5, b = 0.75), English stop words and Snowball's stems."""
    import bm25s
    import Stemmer

    def tokens(texts: list[str]) -> Any:
        stemmer = Stemmer.Stemmer("english")
        return bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, show_progress=False)

    index = bm25s.BM25()
    index.index(tokens(list(collection.passages.values())), show_progress=False)
    asked = tokens(list(collection.questions.values()))
    rows, scores = index.retrieve(asked, k=DEPTH, show_progress=False)
    ids = list(collection.passages)
    return {
        key: {ids[at]: float(score) for at, score in zip(row, values, strict=True) if score > 0}
        for key, row, values in zip(collection.questions, rows, scores, strict=True)
    }


def measure(url: str, folder: Path, collection: Judged, engine_: EmbeddingEngine) -> dict[str, Any]:
    """All contenders on one collection."""
    texts, questions = list(collection.passages.values()), list(collection.questions.values())
    passage_vectors, question_vectors = embedded(texts, engine_), embedded(questions, engine_)
    vectors = dict(zip(map(_tidy, texts), passage_vectors, strict=True))
    vectors |= dict(zip(questions, question_vectors, strict=True))
    name = CollectionName("bench", collection.name.lower())
    documents = {key: [_tidy(text)] for key, text in collection.passages.items()}
    fill(url, folder, name, documents, vectors)
    runs: dict[str, Run] = {
        "bm25s": by_bm25s(collection),
        "MiniLM cosine": cosine(collection, passage_vectors, question_vectors),
    }
    with connect(url) as conn:
        runs |= {f"ours {mode}": run for mode, run in ours(conn, name, collection, vectors).items()}
    return {contender: judge(collection, run) for contender, run in runs.items()}


def _tidy(text: str) -> str:
    return "\n\n".join(part.strip() for part in text.split("\n\n") if part.strip())


def page(figures: Mapping[str, Mapping[str, Any]]) -> str:
    """The figures as Markdown."""
    lines = ["# Retrieval quality", "", "`python -m benchmarks.retrieval`", ""]
    for name, rows in figures.items():
        measures = list(next(iter(rows["measures"].values())))
        lines += [f"## {name}: {rows['passages']:,} passages, {rows['questions']:,} questions", ""]
        lines += ["| | " + " | ".join(measures) + " |", "|---|" + "---:|" * len(measures)]
        for contender, values in rows["measures"].items():
            lines.append(
                f"| {contender} | " + " | ".join(f"{v:.4f}" for v in values.values()) + " |"
            )
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Measure and write the results."""
    figures = {}
    embedder = engine()
    with (
        tempfile.TemporaryDirectory() as folder,
        embedded_postgres(Path(folder) / "server", durable=False) as url,
    ):
        migrate(url)
        for name in sys.argv[1:] or LOADERS:
            collection = load(name)
            figures[collection.name] = {
                "passages": len(collection.passages),
                "questions": len(collection.questions),
                "measures": measure(url, Path(folder), collection, embedder),
            }
            print(collection.name, json.dumps(figures[collection.name]["measures"]), flush=True)
    keep("retrieval", figures)
    (results_folder() / "retrieval.md").write_text(page(figures), encoding="utf-8")


if __name__ == "__main__":
    main()
