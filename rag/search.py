"""Search: a question in, ranked passages with their source out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePosixPath
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rag.errors import ConfigurationError, NotFoundError
from rag.model import CollectionName, Hit
from rag.ports import Embedder, Reranker
from rag.ranking import Ranked, fuse_by_rank, fuse_by_score, ranked
from rag.store import lookup
from rag.store.database import Connection, Row
from rag.store.filters import NO_FILTERS, Filters
from rag.store.lookup import View, Wanted

Mode = Literal["hybrid", "rrf", "dense", "bm25"]

# how far each list goes before fusion, at least; deeper lists change the first ten hardly
MIN_DEPTH = 50
# how many of the fused list a reranker reads
RERANKED = 30
_ROUNDS = 4


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Hits of one generation. `as_of` is the newest publication among them; without hits, the
    generation's."""

    generation: int | None
    as_of: datetime | None
    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A prepared search; the mode says which of `query` and `vector` count.

    `principals` are those whose documents may be found beside everyone's; None sees all."""

    name: CollectionName
    query: str
    vector: NDArray[np.float32] | None
    k: int = 4
    mode: Mode = "hybrid"
    filters: Filters = NO_FILTERS
    min_score: float | None = None
    principals: Sequence[str] | None = ()
    max_per_document: int | None = None
    neighbors: int = 0
    generation: int | None = None  # another than the live one, to judge it


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
    principals: Sequence[str] | None = (),
    max_per_document: int | None = None,
    neighbors: int = 0,
    reranker: Reranker | None = None,
) -> SearchResult:
    """The k best passages of the collection's live generation, of the documents that `filters`
    and the access lists let through, with at least `min_score`.

    The score is cosine similarity (dense), BM25, the fused score (hybrid: the mean of both, each as
    a share of the best; rrf: reciprocal rank with k = 60), or the reranker's where there is one;
    `min_score` is compared before reranking. At
    most `max_per_document` hits are of one document, each with the text of `neighbors` chunks
    before and after it. Raises ConfigurationError (`empty_query`), NotFoundError
    (`collection_not_found`), and what the reranker raises."""
    check_query(query)
    vector = None
    if mode != "bm25":
        assert embedder is not None, "dense and hybrid search need an embedder"
        vector = embedder.embed_query(query)
    request = SearchRequest(
        name, query, vector, k=k, mode=mode, filters=filters, min_score=min_score,
        principals=principals, max_per_document=max_per_document, neighbors=neighbors,
    )  # fmt: skip
    return found_by(conn, request, reranker)


def check_query(query: str) -> None:
    """Raises ConfigurationError (`empty_query`)."""
    if not query.strip():
        raise ConfigurationError("The query is empty: write what to look for.", code="empty_query")


def found_by(
    conn: Connection, request: SearchRequest, reranker: Reranker | None = None
) -> SearchResult:
    """What a prepared request finds. Raises NotFoundError (`collection_not_found`), and what the
    reranker raises."""
    with lookup.reading(conn):
        limit = max(request.k, RERANKED) if reranker else request.k
        hits, seen, rows = _hits(conn, request, limit)
        as_of = _as_of(conn, seen, rows)
    if reranker and hits:
        hits = _reranked(reranker, request.query, hits)[: request.k]
    return SearchResult(seen.generation_id, as_of, tuple(hits))


def _hits(
    conn: Connection, request: SearchRequest, limit: int
) -> tuple[list[Hit], View, list[Row]]:
    """Hits, what they were found in, and their rows. Looks again, further down the lists, while a
    cap on passages of one document leaves too few, or when a publish moved rows meanwhile."""
    depth = max(MIN_DEPTH, 5 * limit)
    for _ in range(_ROUNDS):
        seen = _view(conn, request)
        found, is_all = _ranked(conn, seen, request, depth)
        rows = _passages(conn, request, found, limit)
        is_whole = not found or (bool(rows) and rows[0]["resolved"] == len(found))
        if is_whole and (is_all or len(rows) >= limit):
            break
        depth *= 4
    return [_hit(row, found[row["position"]][2]) for row in rows], seen, rows


def _view(conn: Connection, request: SearchRequest) -> View:
    words = None if request.mode == "dense" else request.query
    seen = lookup.view(
        conn, request.name, words, request.filters, request.principals, request.generation
    )
    if seen is None:
        raise NotFoundError(
            f"There is no collection {request.name}: `rag collection list` shows those there are.",
            code="collection_not_found",
        )
    return seen


def _ranked(
    conn: Connection, seen: View, request: SearchRequest, depth: int
) -> tuple[Ranked, bool]:
    """The fused list, and whether going further down would add nothing to it."""
    by_words = [] if request.mode == "dense" else seen.bm25.best(depth)
    near = lookup.Near([], {})
    if request.mode != "bm25":
        assert request.vector is not None
        others = [item.place for item in by_words] if request.mode == "hybrid" else []
        near = lookup.nearest(conn, seen, request.vector, depth, others)
    lists = {"dense": near.best, "bm25": by_words}
    if request.mode == "hybrid":
        known = {**near.others} | {item.place: item.score for item in near.best}
        fused = fuse_by_score(
            lists, {"dense": lambda place: known.get(place, 0.0), "bm25": seen.bm25.score}
        )
    elif request.mode == "rrf":
        fused = fuse_by_rank(lists)
    else:
        fused = ranked(request.mode, lists[request.mode])
    least = request.min_score
    kept = fused if least is None else [item for item in fused if item[1] >= least]
    is_all = request.max_per_document is None or all(len(one) < depth for one in lists.values())
    return kept, is_all or len(kept) < len(fused)


def _passages(conn: Connection, request: SearchRequest, found: Ranked, limit: int) -> list[Row]:
    if not found:
        return []
    wanted = Wanted(limit, request.max_per_document, request.neighbors)
    return lookup.passages(conn, [(place, score) for place, score, _ in found], wanted)


def _as_of(conn: Connection, seen: View, rows: Sequence[Row]) -> datetime | None:
    if rows:
        newest: datetime = max(row["published_at"] for row in rows)
        return newest
    if seen.generation_id is None:
        return None
    row = lookup.last_published(conn, seen.generation_id)
    return row["published_at"] if row else None


def _reranked(reranker: Reranker, query: str, hits: Sequence[Hit]) -> list[Hit]:
    scores = reranker.rerank(query, [f"{hit.heading}\n{hit.text}".strip() for hit in hits])
    pairs = sorted(zip(hits, scores, strict=True), key=lambda pair: -pair[1])
    return [
        replace(hit, score=float(score), ranks={**hit.ranks, "reranker": rank})
        for rank, (hit, score) in enumerate(pairs, start=1)
    ]


def _hit(row: Row, ranks: dict[str, int]) -> Hit:
    return Hit(
        document=PurePosixPath(row["uri"]).name,
        uri=row["uri"],
        title=row["title"],
        page=row["page_first"],
        heading=" > ".join(row["headings"]),
        text=row["text"],
        score=float(row["score"]),
        ranks=ranks,
        ordinal=row["ordinal"],
        document_id=row["document_id"],
        content_hash=bytes(row["content_hash"]).hex(),
        before=row["text_before"],
        after=row["text_after"],
    )
