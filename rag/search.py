"""Search: a question in, ranked passages with their source out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Literal

from rag.errors import ConfigurationError, NotFoundError
from rag.model import CollectionName, Hit
from rag.ports import Embedder
from rag.store import index
from rag.store.database import Connection, Row
from rag.store.index import NO_FILTERS, Filters, SearchRequest

Mode = Literal["hybrid", "dense", "bm25"]

# how far each list goes before fusion, at least; deeper lists change the first ten hardly
MIN_DEPTH = 50


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Hits of one generation; `as_of` is the newest publication among them."""

    generation: int | None
    as_of: datetime | None
    hits: tuple[Hit, ...]


def search(
    conn: Connection,
    embedder: Embedder | None,
    name: CollectionName,
    query: str,
    *,
    k: int = 4,
    mode: Mode = "hybrid",
    filters: Filters = NO_FILTERS,
    min_score: float | None = None,
) -> SearchResult:
    """The k best passages of the collection's live generation, of the documents that `filters`
    let through, with at least `min_score`.

    The score is cosine similarity (dense), BM25, or the fused score: hybrid fuses the two lists
    by reciprocal rank (k = 60, Cormack et al. 2009).
    Raises ConfigurationError (`empty_query`), NotFoundError (`collection_not_found`)."""
    if not query.strip():
        raise ConfigurationError("The query is empty: write what to look for.", code="empty_query")
    vector = None
    if mode != "bm25":
        assert embedder is not None, "dense and hybrid search need an embedder"
        vector = embedder.embed_query(query)
    request = SearchRequest(
        name, query, vector, limit=k, depth=max(MIN_DEPTH, 5 * k), use_lexical=mode != "dense",
        filters=filters, min_score=min_score,
    )  # fmt: skip
    return found_by(conn, request)


def found_by(conn: Connection, request: SearchRequest) -> SearchResult:
    """What a prepared request finds. Raises NotFoundError (`collection_not_found`)."""
    rows = index.search(conn, request)
    if not rows:
        raise NotFoundError(
            f"There is no collection {request.name}: `rag collection list` shows those there are.",
            code="collection_not_found",
        )
    found = [row for row in rows if row["document_id"] is not None]
    return SearchResult(
        generation=rows[0]["generation_id"],
        as_of=max((row["published_at"] for row in found), default=None),
        hits=tuple(_hit(row) for row in found),
    )


def _hit(row: Row) -> Hit:
    ranks = {"dense": row["dense_rank"], "bm25": row["bm25_rank"]}
    return Hit(
        document=PurePosixPath(row["uri"]).name,
        uri=row["uri"],
        title=row["title"],
        page=row["page_first"],
        heading=" > ".join(row["headings"]),
        text=row["text"],
        score=float(row["score"]),
        ranks={name: rank for name, rank in ranks.items() if rank is not None},
        ordinal=row["ordinal"],
        document_id=row["document_id"],
        content_hash=bytes(row["content_hash"]).hex(),
    )
