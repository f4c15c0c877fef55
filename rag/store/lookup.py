"""Reading the search index: one pipeline for what words and filters need, one statement for the
nearest vectors, one for the passages. Ranking by words happens in between (rag/ranking.py)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import LiteralString

import numpy as np
from numpy.typing import NDArray
from psycopg import sql
from psycopg.pq import TransactionStatus

from rag.model import CollectionName
from rag.ranking import Bm25, Place, Scored, Segment, Spans
from rag.store.database import Connection, Row
from rag.store.filters import Filters
from rag.store.queries import statements
from rag.words import is_inflected, words_of

# of the rows that filters let through, so many are compared one by one rather than by the index
_EXACT_ROWS = 20_000
# how many rows an index scan keeps in view: more is nearer to exact and slower
_BREADTH = 160
_LONGEST_QUERY = 300  # words
_AMONG: LiteralString = "and search_row.document_id = any(%(documents)s::bigint[])"


@dataclass(frozen=True, slots=True)
class Permitted:
    """The documents that filters and access lists let through, and the slots of their rows."""

    documents: list[int]
    rows: int
    slots: Mapping[int, Spans]


@dataclass(frozen=True, slots=True)
class View:
    """One collection's live generation as a search sees it: what its words find is at hand."""

    generation_id: int | None
    home: int
    rows: int
    bm25: Bm25
    permitted: Permitted | None


@contextmanager
def reading(conn: Connection) -> Iterator[None]:
    """A transaction, unless one is open: settings of the scan hold until its end."""
    if conn.info.transaction_status == TransactionStatus.IDLE:
        with conn.transaction():
            yield
    else:
        yield


def view(
    conn: Connection,
    name: CollectionName,
    query: str | None,
    filters: Filters,
    principals: Sequence[str] | None,
    generation: int | None = None,
) -> View | None:
    """What a search of the collection needs before ranking, in one round trip; None when there is
    no such collection. Without `query` nothing is looked up by words; `principals` None sees all.
    It reads the live generation, unless another is named.
    """
    named = statements("lookup")
    words = set(words_of(query)[:_LONGEST_QUERY]) if query else set()
    given = {
        "namespace": name.namespace,
        "collection": name.collection,
        "generation": generation,
        "search_breadth": str(_BREADTH),
        "inflected": [word for word in words if is_inflected(word)],
        "exact": [word for word in words if not is_inflected(word)],
        "sees_all": principals is None,
        "principals": list(principals or ()),
        **filters.parameters(),
    }
    is_narrow = bool(given["is_filtered"]) or principals is not None
    with conn.pipeline():
        scope = conn.execute(named["scope"], given)
        segments = conn.execute(named["segments"], given, binary=True)
        postings = conn.execute(named["postings"], given, binary=True) if words else None
        permitted = conn.execute(named["permitted"], given, binary=True) if is_narrow else None
        found = scope.fetchone()
        live = [_segment(row) for row in segments]
        by_lexeme = _by_lexeme(postings.fetchall() if postings else [])
        narrowed = permitted.fetchall() if permitted else []
    if found is None:
        return None
    restricts = is_narrow and (bool(given["is_filtered"]) or found["has_access_lists"])
    allowed = _permitted(narrowed) if restricts else None
    return View(
        generation_id=found["generation_id"],
        home=found["home"],
        rows=sum(segment.rows for segment in live),
        bm25=Bm25(live, by_lexeme, None if allowed is None else allowed.slots),
        permitted=allowed,
    )


def _segment(row: Row) -> Segment:
    dead = tuple(zip(row["dead_from"], row["dead_to"], strict=True))
    return Segment(row["id"], row["slots"], row["rows"], row["words"], dead)


def _by_lexeme(rows: Sequence[Row]) -> dict[str, list[tuple[int, bytes]]]:
    found: dict[str, list[tuple[int, bytes]]] = {}
    for row in rows:
        found.setdefault(row["lexeme"], []).append((row["segment_id"], row["entries"]))
    return found


def _permitted(rows: Sequence[Row]) -> Permitted:
    return Permitted(
        documents=[document for row in rows for document in row["documents"]],
        rows=sum(row["rows"] for row in rows),
        slots={
            row["segment_id"]: tuple(zip(row["first_slots"], row["end_slots"], strict=True))
            for row in rows
        },
    )


@dataclass(frozen=True, slots=True)
class Near:
    """The nearest rows in order, and the similarity of others that were asked for."""

    best: list[Scored]
    others: Mapping[Place, float]


def nearest(
    conn: Connection, seen: View, vector: NDArray[np.float32], depth: int,
    others: Sequence[Place] = (),
) -> Near:  # fmt: skip
    """The permitted rows nearest to the vector, and how near `others` are. Through the index where
    there is one; should that give fewer than there are, or few are permitted, by comparing one by
    one."""
    permitted = seen.permitted
    rows = seen.rows if permitted is None else permitted.rows
    if not rows:
        return Near([], {})
    if seen.home and rows > _EXACT_ROWS:
        found = _nearest(conn, seen, vector, depth, others, is_exact=False)
        if len(found.best) >= min(depth, rows):
            return found
    return _nearest(conn, seen, vector, depth, others, is_exact=True)


def _nearest(
    conn: Connection, seen: View, vector: NDArray[np.float32], depth: int,
    others: Sequence[Place], *, is_exact: bool,
) -> Near:  # fmt: skip
    statement = sql.SQL(statements("lookup")["nearest"]).format(
        home=sql.Literal(seen.home),
        dimension=sql.Literal(len(vector)),
        exact=sql.SQL("+ 0" if is_exact else ""),
        restriction=sql.SQL("" if seen.permitted is None else _AMONG),
    )
    given = {
        "generation_id": seen.generation_id,
        "vector": "[" + ",".join(map(str, vector.tolist())) + "]",
        "documents": None if seen.permitted is None else seen.permitted.documents,
        "depth": depth,
        "segments": [segment for segment, _ in others],
        "slots": [slot for _, slot in others],
    }
    best: list[Scored] = []
    asked: dict[Place, float] = {}
    for row in conn.execute(statement, given, binary=True):
        place = (row["segment_id"], row["slot"])
        if row["is_near"]:
            best.append(Scored(place, row["similarity"]))
        else:
            asked[place] = row["similarity"]
    return Near(best, asked)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which of the places found are shown: how many, of one document how many, and how many
    neighbours of each."""

    limit: int
    max_per_document: int | None = None
    neighbors: int = 0


def passages(conn: Connection, places: Sequence[tuple[Place, float]], wanted: Wanted) -> list[Row]:
    """The texts and sources of the best places; `position` is the place's in the list, `resolved`
    how many places still hold a row."""
    return conn.execute(
        statements("lookup")["passages"],
        {
            "segments": [place[0] for place, _ in places],
            "slots": [place[1] for place, _ in places],
            "scores": [score for _, score in places],
            "positions": list(range(len(places))),
            "limit": wanted.limit,
            "max_per_document": wanted.max_per_document,
            "neighbors": wanted.neighbors,
        },
    ).fetchall()


def last_published(conn: Connection, generation_id: int) -> Row | None:
    """When the generation was last published to."""
    return conn.execute(
        statements("lookup")["last_published"], {"generation_id": generation_id}
    ).fetchone()
