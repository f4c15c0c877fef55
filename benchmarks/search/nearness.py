"""Recall of the index against exact comparison, under filters of several sizes, and where the time
of a search goes."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.search.crowd import SHARES
from rag.model import CollectionName
from rag.search import SearchRequest, look, outline_of
from rag.store import lookup
from rag.store.database import Connection
from rag.store.filters import NO_FILTERS, Filters
from rag.store.lookup import Scope
from rag.store.memory import Memory

Asked = Sequence[tuple[str, NDArray[np.float32]]]
_QUESTIONS = 60  # under each filter


def measure(conn: Connection, name: CollectionName, asked: Asked) -> dict[str, float]:
    """Recall@10 of exact for everything, and for each share of the rows."""
    filters = {share: Filters(names=(f"*-{share}*",)) for share in SHARES}
    return {"all": recall_of_all(conn, name, asked)} | {
        share: _recall(conn, name, asked[:_QUESTIONS], filters[share]) for share in filters
    }


def recall_of_all(conn: Connection, name: CollectionName, asked: Asked) -> float:
    """Recall@10 of exact without a filter."""
    return _recall(conn, name, asked, NO_FILTERS)


def _recall(conn: Connection, name: CollectionName, asked: Asked, filters: Filters) -> float:
    shares = []
    for _, vector in asked:
        with lookup.reading(conn):
            seen = lookup.view(conn, name, None, filters, None)
            assert seen is not None
            found = lookup.nearest(conn, seen, vector, 50).best[:10]
            exact = lookup._near(lookup._compared(conn, seen, vector, 10, is_exact=True), ()).best
        assert len(found) == len(exact)
        shares.append(len({one.place for one in found} & {one.place for one in exact}) / len(exact))
    return float(np.mean(shares))


def parts(conn: Connection, name: CollectionName, asked: Asked) -> dict[str, dict[str, float]]:
    """Milliseconds of each part of a hybrid search, k = 10, by a process that was asked before:
    the second half of the questions."""
    times: dict[str, list[float]] = {}
    memory = Memory()
    for number, (question, vector) in enumerate(asked):
        request = SearchRequest(name, question, vector, k=10)
        with lookup.reading(conn):
            started = time.perf_counter()
            outline = memory.outline(name) or outline_of(conn, name, memory)
            scope = Scope(name, NO_FILTERS, ())
            seen = lookup.view_of(conn, scope, outline, question, memory)
            scores = seen.bm25
            viewed = time.perf_counter()
            words = [one.place for one in scores.best(50)]
            ranked = time.perf_counter()
            lookup.findable(conn, lookup.walk(conn, scope, seen, vector, 50), words)
            near = time.perf_counter()
        begun = time.perf_counter()
        with lookup.reading(conn):
            found = look(conn, request, memory)
        assert found is not None
        found.result(request, None)
        ended = time.perf_counter()
        if number < len(asked) // 2:
            continue
        for part, spent in {
            "words: postings fetched and scored": viewed - started,
            "words: the best 50": ranked - viewed,
            "vectors: the nearest 50, and those of the words": near - ranked,
            "a whole search": ended - begun,
        }.items():
            times.setdefault(part, []).append(spent * 1000)
    return {
        part: {"p50": float(np.percentile(spent, 50)), "p95": float(np.percentile(spent, 95))}
        for part, spent in times.items()
    }
