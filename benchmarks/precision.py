"""What a faster arithmetic costs in quality: nDCG@10 of plain cosine similarity in fp32, bf16 (the
default) and int8 (opt-in), on the judged collections.

Run: python -m benchmarks.precision [cranfield scifact squad]. Writes precision.json. Needs
RAG_TEST_DATA; vectors are kept in RAG_BENCH_CACHE.
"""

from __future__ import annotations

import sys
from typing import get_args

from benchmarks.keeping import keep
from benchmarks.retrieval.__main__ import cosine, judge
from benchmarks.retrieval.judged import LOADERS, Judged, data_folder, load
from benchmarks.retrieval.vectors import embedded, engine
from rag.embed.engine import Precision


def quality(collection: Judged, precision: Precision) -> float:
    """nDCG@10 of the collection's questions."""
    embedder = engine(precision)
    passages = embedded(list(collection.passages.values()), embedder)
    questions = embedded(list(collection.questions.values()), embedder)
    return judge(collection, cosine(collection, passages, questions))["nDCG@10"]


def main() -> None:
    """Measure, print and keep."""
    if not data_folder().is_dir():
        raise SystemExit("RAG_TEST_DATA names no folder with the judged collections: left out.")
    figures: dict[str, dict[str, float]] = {}
    for name in sys.argv[1:] or LOADERS:
        collection = load(name)
        figures[name] = {
            precision: quality(collection, precision) for precision in get_args(Precision)
        }
        print(name, figures[name], flush=True)
    keep("precision", figures)


if __name__ == "__main__":
    main()
