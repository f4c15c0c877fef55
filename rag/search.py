"""Search: a question in, ranked passages with their source out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import PurePosixPath
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rag.errors import ConfigurationError, NotFoundError, UnavailableError
from rag.model import CollectionName, Hit
from rag.ports import Embedder, Reranker
from rag.ranking import Place, Ranked, Scored, fuse_by_rank, fuse_by_score, ranked
from rag.store import lookup
from rag.store.database import Connection, Row
from rag.store.filters import NO_FILTERS, Filters
from rag.store.lookup import Findable, Near, Scope, View
from rag.store.memory import Memory, Outline

Mode = Literal["hybrid", "rrf", "dense", "bm25"]

# a question's vector under the model of each generation that was met
Vectors = Mapping[int, NDArray[np.float32]]

# how far each list goes before fusion, at least; deeper lists change the first ten hardly
MIN_DEPTH = 50
# how many of the fused list a reranker reads
RERANKED = 30
_ROUNDS = 4
# how often an index may turn out to have changed since we looked
_LOOKS = 10


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Hits of one generation. `as_of` is the newest publication among them; without hits, the
    generation's. `similarities` are the hits' cosine similarities to the question, by document id
    and ordinal, where it had a vector."""

    generation: int | None
    as_of: datetime | None
    hits: tuple[Hit, ...]
    similarities: Mapping[tuple[int, int], float] = field(default_factory=dict)


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
    """What a prepared request finds. Raises NotFoundError (`collection_not_found`),
    UnavailableError (`index_moving`) and what the reranker raises."""
    with lookup.reading(conn):
        seen = look(conn, request, Memory(), is_reranked=reranker is not None)
    assert seen is not None, "its own vector is right for any generation"
    return seen.result(request, reranker)


@dataclass(frozen=True, slots=True)
class Look:
    """What a request finds, ranked; the texts are on their way and come with the end of the
    transaction."""

    generation: int | None
    best: Ranked
    rows: Mapping[Place, tuple[int, int]]
    near: Mapping[Place, float]
    texts: lookup.Cursor | None
    last_published: lookup.Cursor | None

    def result(self, request: SearchRequest, reranker: Reranker | None) -> SearchResult:
        """The same as hits. To be asked for when the transaction is over; raises what the reranker
        raises."""
        texts = {(row["document_id"], row["ordinal"]): row for row in self.texts or ()}
        held = [(item, texts[at]) for item in self.best if (at := self.rows[item[0]]) in texts]
        hits = [_hit(row, score, ranks) for (_, score, ranks), row in held]
        if reranker and hits:
            hits = _reranked(reranker, request.query, hits)[: request.k]
        return SearchResult(
            generation=self.generation,
            as_of=self._as_of([row for _, row in held]),
            hits=tuple(hits),
            similarities={
                self.rows[place]: self.near[place]
                for place, _, _ in self.best
                if place in self.near
            },
        )

    def _as_of(self, rows: Sequence[Row]) -> datetime | None:
        if rows:
            newest: datetime = max(row["published_at"] for row in rows)
            return newest
        last = self.last_published.fetchone() if self.last_published else None
        return last["published_at"] if last else None


def look(
    conn: Connection,
    request: SearchRequest,
    memory: Memory,
    *,
    vectors: Vectors | None = None,
    is_reranked: bool = False,
) -> Look | None:
    """What a prepared request finds, within an open transaction. With `vectors`, its vector is that
    of the generation that is live; None when there is none of that. Ranked in one exchange with the
    database when the memory holds what the question's words need. Raises as `found_by`, but for the
    reranker."""
    limit = max(request.k, RERANKED) if is_reranked else request.k
    scope = Scope(request.name, request.filters, request.principals, request.generation)
    outline = memory.outline(request.name) if request.generation is None else None
    for _ in range(_LOOKS):
        outline = outline or outline_of(conn, scope.name, memory, scope.generation)
        if vectors is not None:
            if (outline.generation_id or 0) not in vectors:
                return None
            request = replace(request, vector=vectors[outline.generation_id or 0])
        words = None if request.mode == "dense" else request.query
        seen = lookup.view_of(conn, scope, outline, words, memory)
        found, best = _ranked(conn, scope, request, seen, limit)
        if found.outline == outline:
            return _looked(conn, request, seen, found, best)
        outline = found.outline
        if scope.generation is None:
            memory.keep_outline(scope.name, outline)
    raise moving(request.name)


def _looked(
    conn: Connection, request: SearchRequest, seen: View, found: Findable, best: Ranked
) -> Look:
    generation = seen.generation_id
    texts = last = None
    if best:
        places = [found.rows[place] for place, _, _ in best]
        texts = lookup.passages(conn, seen, places, request.neighbors)
    elif generation is not None:
        last = lookup.last_published(conn, generation)
    return Look(generation, best, found.rows, found.near.similarities, texts, last)


def outline_of(
    conn: Connection, name: CollectionName, memory: Memory, generation: int | None = None
) -> Outline:
    """What the collection's index is made of now, remembered. Raises NotFoundError
    (`collection_not_found`)."""
    found = lookup.outline(conn, name, generation)
    if generation is None:
        memory.keep_outline(name, found)
    if found is None:
        raise NotFoundError(
            f"There is no collection {name}: `rag collection list` shows those there are.",
            code="collection_not_found",
        )
    return found


def moving(name: CollectionName) -> UnavailableError:
    """The index changed again and again during one search."""
    return UnavailableError(
        f"The index of {name} changed again and again during one search: try again.",
        code="index_moving",
    )


def _ranked(
    conn: Connection, scope: Scope, request: SearchRequest, seen: View, limit: int
) -> tuple[Findable, Ranked]:
    """What may be found, and the `limit` best of it. Looks further down the lists while a cap on
    passages of one document leaves too few."""
    depth = max(MIN_DEPTH, 5 * limit)
    for _ in range(_ROUNDS):
        by_vector = 0 if request.mode == "bm25" else depth
        begun = lookup.walk(conn, scope, seen, request.vector, by_vector)
        # ranked by words while the server walks through the vectors
        by_words = [] if request.mode == "dense" else seen.bm25.best(depth)
        found = lookup.findable(conn, begun, [item.place for item in by_words])
        if found.outline != seen.outline:
            return found, []
        fused, is_all = _fused(seen, request, found.near, by_words, depth)
        best = _best(fused, found.rows, request.max_per_document)[:limit]
        if is_all or len(best) >= limit:
            break
        depth *= 4
    return found, best


def _fused(
    seen: View, request: SearchRequest, near: Near, by_words: list[Scored], depth: int
) -> tuple[Ranked, bool]:
    """The fused list, and whether going further down would add nothing to it."""
    lists = {"dense": near.best, "bm25": by_words}
    if request.mode == "hybrid":
        known = near.similarities
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


def _best(fused: Ranked, rows: Mapping[Place, tuple[int, int]], most: int | None) -> Ranked:
    """Best first, at most so many of one document."""
    held = [item for item in fused if item[0] in rows]
    held.sort(key=lambda item: (-item[1], rows[item[0]]))
    if most is None:
        return held
    counts: Counter[int] = Counter()
    best: Ranked = []
    for item in held:
        document, _ = rows[item[0]]
        counts[document] += 1
        if counts[document] <= most:
            best.append(item)
    return best


def _reranked(reranker: Reranker, query: str, hits: Sequence[Hit]) -> list[Hit]:
    scores = reranker.rerank(query, [f"{hit.heading}\n{hit.text}".strip() for hit in hits])
    pairs = sorted(zip(hits, scores, strict=True), key=lambda pair: -pair[1])
    return [
        replace(hit, score=float(score), ranks={**hit.ranks, "reranker": rank})
        for rank, (hit, score) in enumerate(pairs, start=1)
    ]


def _hit(row: Row, score: float, ranks: dict[str, int]) -> Hit:
    return Hit(
        document=PurePosixPath(row["uri"]).name,
        uri=row["uri"],
        title=row["title"],
        page=row["page_first"],
        heading=" > ".join(row["headings"]),
        text=row["text"],
        score=score,
        ranks=ranks,
        ordinal=row["ordinal"],
        document_id=row["document_id"],
        content_hash=bytes(row["content_hash"]).hex(),
        before=row["text_before"],
        after=row["text_after"],
        version_id=row["version_id"],
        start_char=row["start_char"],
        end_char=row["end_char"],
    )
