"""Whether a generation finds under a filter what is there: its own vectors asked again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rag.model import CollectionName
from rag.store import generations, lookup
from rag.store.database import Connection
from rag.store.filters import NO_FILTERS
from rag.store.lookup import Permitted, View

_QUESTIONS = 20
_DEPTH = 10
# rounding of one and the same vector, read in two ways
_EQUAL = 1e-6


def filtered_recall(conn: Connection, name: CollectionName, generation: int) -> float:
    """Share of the exact ten nearest rows that search finds when a filter lets through every
    second document; 1.0 for an empty generation. The questions are vectors of the generation."""
    with lookup.reading(conn):
        vectors = generations.sample_vectors(conn, generation, _QUESTIONS)
        seen = lookup.view(conn, name, None, NO_FILTERS, None, generation)
        documents, rows = generations.sample_documents(conn, generation)
        if seen is None or not vectors or not rows:
            return 1.0
        narrow = replace(seen, permitted=Permitted(documents, rows, {}))
        return float(np.mean([_share(conn, narrow, generation, each) for each in vectors]))


def _share(conn: Connection, seen: View, generation: int, vector: list[float]) -> float:
    assert seen.permitted is not None
    found = lookup.nearest(conn, seen, np.asarray(vector, np.float32), _DEPTH).best
    exact = generations.exact_similarities(
        conn, generation, seen.home, seen.permitted.documents, vector, _DEPTH
    )
    # equal vectors may stand in either order: what counts is how near
    near = sum(item.score >= exact[-1] - _EQUAL for item in found)
    return min(near, len(exact)) / len(exact)
