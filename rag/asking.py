"""Searching a collection by the model its live generation was built with, whatever the settings say
by now: a question is never compared with another model's vectors, and a swap is never felt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import NamedTuple

from psycopg import IsolationLevel
from psycopg.pq import TransactionStatus

from rag.errors import UnavailableError
from rag.model import CollectionName
from rag.ports import Embedder, Reranker
from rag.recipe import Recipe, under
from rag.search import SearchRequest, SearchResult, check_query, found_by
from rag.settings import Settings
from rag.store import generations
from rag.store.database import Connection

_TRIES = 5


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


class LiveEngine(NamedTuple):
    """The generation that is live, and the engine it is asked with."""

    generation: int | None
    embedder: Embedder


def live_engine(conn: Connection, embedders: Embedders, name: CollectionName) -> LiveEngine:
    """What searches of the collection read now. Raises NotFoundError (`collection_not_found`)."""
    live = generations.live(conn, name)
    return LiveEngine(live.id, embedders.of(live.recipe))


def search_live(
    conn: Connection, embedders: Embedders, request: SearchRequest, reranker: Reranker | None = None
) -> SearchResult:
    """What the request finds in the generation that is live, its vector made here by that
    generation's model. Raises as `rag.search.search`, and UnavailableError (`generation_moving`)
    when the live generation changed again and again."""
    check_query(request.query)
    for _ in range(_TRIES):
        seen = generations.live(conn, request.name)
        if request.mode != "bm25":
            vector = embedders.of(seen.recipe).embed_query(request.query)
            request = replace(request, vector=vector)
        with _snapshot(conn):
            if generations.live(conn, request.name).id == seen.id:
                return found_by(conn, request, reranker)
    raise UnavailableError(
        f"The live generation of {request.name} changed {_TRIES} times during one search: try "
        "again.",
        code="generation_moving",
    )


class _snapshot:
    """A transaction that sees one moment: the pointer it reads is the one it searches by. Inside an
    open transaction, that one."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._is_ours = conn.info.transaction_status == TransactionStatus.IDLE
        self._transaction = conn.transaction()

    def __enter__(self) -> None:
        if self._is_ours:
            self._conn.set_isolation_level(IsolationLevel.REPEATABLE_READ)
        self._transaction.__enter__()

    def __exit__(self, *raised: object) -> None:
        self._transaction.__exit__(*raised)  # type: ignore[arg-type]
        if self._is_ours:
            self._conn.set_isolation_level(None)
