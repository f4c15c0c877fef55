"""Searching a collection by the model its live generation was built with, whatever the settings say
by now: a question is never compared with another model's vectors, and a swap is never felt."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rag.ports import Embedder, Reranker
from rag.recipe import Recipe, under
from rag.search import SearchRequest, SearchResult, check_query, look, moving, outline_of
from rag.settings import Settings
from rag.store import lookup
from rag.store.database import Connection
from rag.store.memory import Memory

_TRIES = 5

Reading = Callable[[str], AbstractContextManager[Connection]]


@dataclass(slots=True)
class Embedders:
    """The embedding engines of this process, one per model and precision, opened when asked for."""

    settings: Settings
    open: Callable[[Settings], Embedder]
    _opened: dict[tuple[str, str], Embedder] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def of(self, recipe: Recipe | None) -> Embedder:
        """The engine a generation of that recipe is asked with; without one, that in force."""
        settings = under(self.settings, recipe or {})
        key = (settings.embedding_model, settings.embedding_precision)
        with self._lock:
            if key not in self._opened:
                self._opened[key] = self.open(settings)
            return self._opened[key]


class Finding(NamedTuple):
    """What was found, and how long the question's vector and the search took."""

    result: SearchResult
    encode_ms: float
    search_ms: float


@dataclass(frozen=True, slots=True)
class Finder:
    """Searches what is live, for every skin of the product."""

    embedders: Embedders
    reranker: Reranker | None = None
    memory: Memory = field(default_factory=Memory)

    def find(
        self, reading: Reading, request: SearchRequest, *, is_compared: bool = False
    ) -> Finding:
        """What the request finds in the generation that is live, its vector made here by that
        generation's model; `is_compared`: also where words alone are searched, for the hits'
        similarities. `reading` opens a transaction on one namespace, never held while a model
        works.

        Raises as `rag.search.found_by`, ConfigurationError (`empty_query`), and UnavailableError
        (`index_moving`) when the live generation changed again and again."""
        check_query(request.query)
        vectors: dict[int, NDArray[np.float32]] | None = None
        if request.mode != "bm25" or is_compared:
            vectors = {}
        encode_ms = 0.0
        started = time.perf_counter()
        for _ in range(_TRIES):
            if vectors is not None:
                asked = time.perf_counter()
                self._encode(reading, request, vectors)
                encode_ms += (time.perf_counter() - asked) * 1000
            is_reranked = self.reranker is not None
            with reading(request.name.namespace) as conn:
                seen = look(conn, request, self.memory, vectors=vectors, is_reranked=is_reranked)
            if seen is not None:
                result = seen.result(request, self.reranker)
                spent_ms = (time.perf_counter() - started) * 1000
                return Finding(result, encode_ms, spent_ms - encode_ms)
        raise moving(request.name)

    def _encode(
        self, reading: Reading, request: SearchRequest, vectors: dict[int, NDArray[np.float32]]
    ) -> None:
        """Add the question's vector under the model of what was live when we looked last."""
        outline = self.memory.outline(request.name)
        if outline is None:
            with reading(request.name.namespace) as conn:
                outline = outline_of(conn, request.name, self.memory)
        generation = outline.generation_id or 0
        if generation in vectors:
            return
        vector = self.memory.vector(request.name, generation, request.query)
        if vector is None:
            vector = self.embedders.of(outline.recipe).embed_query(request.query)
            self.memory.keep_vector(request.name, generation, request.query, vector)
        vectors[generation] = vector


def search_live(
    conn: Connection, embedders: Embedders, request: SearchRequest, reranker: Reranker | None = None
) -> SearchResult:
    """What the request finds in the generation that is live, on one connection, with nothing
    remembered of it. Raises as `Finder.find`."""
    return Finder(embedders, reranker).find(on(conn), request).result


def on(conn: Connection) -> Reading:
    """Transactions of one connection that sees every namespace."""

    @contextmanager
    def reading(namespace: str) -> Iterator[Connection]:  # noqa: ARG001 - it sees all of them
        with lookup.reading(conn):
            yield conn

    return reading
