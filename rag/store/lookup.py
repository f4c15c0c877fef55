"""Reading the search index. What a process remembers of it (rag/store/memory.py) ranks by words
before the database is asked; then one exchange brings the nearest rows, the texts, and the proof
that what was remembered still holds."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import LiteralString, TypeAlias

import numpy as np
import psycopg
from numpy.typing import NDArray
from pgvector import HalfVector
from psycopg import sql
from psycopg.pq import TransactionStatus

from rag.model import CollectionName
from rag.ranking import Bm25, Place, Scored, Spans
from rag.store.database import Connection, Row
from rag.store.filters import NO_FILTERS, Filters
from rag.store.memory import Memory, Outline
from rag.store.queries import statements
from rag.store.question_words import Words, words_in
from rag.words import words_of

Cursor: TypeAlias = psycopg.Cursor[Row]

# of the rows that filters let through, so many are compared one by one rather than by the index
_EXACT_ROWS = 20_000
# how many rows an index scan keeps in view: more is nearer to exact and slower
_BREADTH = 120
_LONGEST_QUERY = 300  # words
_UNDER_WAY = (TransactionStatus.INTRANS, TransactionStatus.INERROR)
_AMONG: LiteralString = "and search_row.document_id = any(%(documents)s::bigint[])"


@dataclass(frozen=True, slots=True)
class Permitted:
    """The documents that filters and access lists let through, and the slots of their rows."""

    documents: list[int]
    rows: int
    slots: Mapping[int, Spans]


@dataclass(frozen=True, slots=True)
class Scope:
    """Which rows of which collection may be found. `principals` None sees all; without a
    `generation` the live one is read."""

    name: CollectionName
    filters: Filters
    principals: Sequence[str] | None
    generation: int | None = None

    @property
    def is_filtered(self) -> bool:
        """Whether the caller asks for some documents only."""
        return self.filters != NO_FILTERS

    def parameters(self) -> dict[str, object]:
        """What the statements `outline` and `permitted` ask for."""
        return {
            "namespace": self.name.namespace,
            "collection": self.name.collection,
            "generation": self.generation,
            "sees_all": self.principals is None,
            "principals": list(self.principals or ()),
            **self.filters.parameters(),
        }


@dataclass(frozen=True)  # without slots: what is worked out of it is kept with it
class View:
    """One collection's index as a search sees it: all that its words need is at hand."""

    outline: Outline
    words: Words
    permitted: Permitted | None

    @cached_property
    def bm25(self) -> Bm25:
        """The scores by words, worked out when they are first asked for."""
        slots = None if self.permitted is None else self.permitted.slots
        return Bm25(self.outline.layout, self.words.all_gains(), slots)

    @property
    def generation_id(self) -> int | None:
        return self.outline.generation_id

    @property
    def home(self) -> int:
        return self.outline.home

    @property
    def rows(self) -> int:
        """How many rows may be found."""
        return self.outline.rows if self.permitted is None else self.permitted.rows


@contextmanager
def reading(conn: Connection) -> Iterator[None]:
    """A transaction that reads one moment, unless one is open: settings of the scan hold until its
    end. What is asked last in it and its end are one exchange with the server."""
    if conn.info.transaction_status != TransactionStatus.IDLE:
        yield
        return
    try:
        # conn.transaction() in a pipeline waits at its beginning and twice at its end
        with conn.pipeline():
            conn.execute(statements("lookup")["one_moment"])
            yield
            conn.execute("commit")
    finally:
        if conn.info.transaction_status in _UNDER_WAY:
            conn.rollback()


def outline(
    conn: Connection, name: CollectionName, generation: int | None = None
) -> Outline | None:
    """What the collection's index is made of now; None when there is no such collection."""
    given = {"namespace": name.namespace, "collection": name.collection, "generation": generation}
    row = conn.execute(statements("lookup")["outline"], given, binary=True).fetchone()
    return None if row is None else _outline(row)


def _outline(row: Row) -> Outline:
    columns = (row[name] or () for name in ("ids", "slots", "rows", "words", "dead"))
    return Outline(
        generation_id=row["generation_id"], home=row["home"], language=row["language"],
        has_access_lists=row["has_access_lists"], recipe_text=row["recipe"],
        segment_rows=tuple(zip(*columns, strict=True)),
    )  # fmt: skip


def view(
    conn: Connection,
    name: CollectionName,
    query: str | None,
    filters: Filters,
    principals: Sequence[str] | None,
    generation: int | None = None,
) -> View | None:
    """What a search of the collection needs before ranking, as it is now; None when there is no
    such collection. Without `query` nothing is looked up by words; `principals` None sees all."""
    found = outline(conn, name, generation)
    if found is None:
        return None
    return view_of(conn, Scope(name, filters, principals, generation), found, query, Memory())


def view_of(
    conn: Connection, scope: Scope, found: Outline, query: str | None, memory: Memory
) -> View:
    """What a search of an index of that outline needs before ranking. Nothing is read of words that
    the memory holds; filters and access lists are always read."""
    words = set(words_of(query)[:_LONGEST_QUERY]) if query else set()
    known = words_in(conn, found, words, memory) if words else Words(found.layout)
    allowed = None
    if scope.is_filtered or (scope.principals is not None and found.has_access_lists):
        allowed = _permitted(conn, scope)
    return View(found, known, allowed)


def _permitted(conn: Connection, scope: Scope) -> Permitted:
    rows = conn.execute(
        statements("lookup")["permitted"], scope.parameters(), binary=True
    ).fetchall()
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

    @property
    def similarities(self) -> Mapping[Place, float]:
        """How near each of them all is."""
        return {**self.others, **{item.place: item.score for item in self.best}}


@dataclass(frozen=True, slots=True)
class Findable:
    """What a question may find: the nearest rows, and document id and ordinal of every place.
    `outline` is what the index was made of at that moment, None when the collection is gone."""

    outline: Outline | None
    near: Near
    rows: Mapping[Place, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Walk:
    """The rows near a question's vector and what the index is made of now, both on their way."""

    seen: View
    vector: NDArray[np.float32] | None
    depth: int
    now: Cursor
    near: Cursor | None


def nearest(conn: Connection, seen: View, vector: NDArray[np.float32], depth: int) -> Near:
    """The permitted rows nearest to the vector."""
    if not seen.rows:
        return Near([], {})
    conn.execute(statements("lookup")["settings"], {"search_breadth": str(_BREADTH)})
    rows = _compared(conn, seen, vector, depth, is_exact=_is_exact(seen)).fetchall()
    return _near(_enough(conn, seen, vector, depth, rows), ())


def walk(
    conn: Connection, scope: Scope, seen: View, vector: NDArray[np.float32] | None, depth: int
) -> Walk:
    """Begin to look for the `depth` rows nearest to the vector. Within a pipeline the server is at
    it while the caller works on something else; `findable` gives what it found."""
    named = statements("lookup")
    conn.execute(named["settings"], {"search_breadth": str(_BREADTH)})
    now = conn.execute(named["outline"], scope.parameters(), binary=True)
    near = None
    if vector is not None and depth:
        near = _compared(conn, seen, vector, depth, is_exact=_is_exact(seen))
    return Walk(seen, vector, depth, now, near)


def findable(conn: Connection, begun: Walk, others: Sequence[Place]) -> Findable:
    """What the walk found, with the `others` and how near they are, in one exchange; where its
    outline differs from the view's, nothing of it may be used."""
    named = _placed(conn, begun, others) if others else None
    row = begun.now.fetchone()
    rows: list[Row] = []
    if begun.near is not None:
        assert begun.vector is not None
        rows = _enough(conn, begun.seen, begun.vector, begun.depth, begun.near.fetchall())
    more = named.fetchall() if named is not None else []
    return Findable(
        outline=None if row is None else _outline(row),
        near=_near(rows, more),
        rows={
            (row["segment_id"], row["slot"]): (row["document_id"], row["ordinal"])
            for row in itertools.chain(more, rows)
        },
    )


def _is_exact(seen: View) -> bool:
    """Whether rows are compared one by one: there is no index, or few rows are permitted."""
    return not seen.home or seen.rows <= _EXACT_ROWS


def _enough(
    conn: Connection, seen: View, vector: NDArray[np.float32], depth: int, rows: list[Row]
) -> list[Row]:
    """The same rows; those of an exact comparison, should the index have given fewer than there
    are."""
    if _is_exact(seen) or len(rows) >= min(depth, seen.rows):
        return rows
    return _compared(conn, seen, vector, depth, is_exact=True).fetchall()


def _compared(
    conn: Connection, seen: View, vector: NDArray[np.float32], depth: int, *, is_exact: bool
) -> Cursor:
    """The nearest rows, by the vector index or one by one."""
    given = {
        "generation_id": seen.generation_id,
        "vector": HalfVector(vector),
        "documents": None if seen.permitted is None else seen.permitted.documents,
    }
    statement = _statement(
        "near", seen.home, len(vector), depth, "+ 0" if is_exact else "",
        "" if seen.permitted is None else _AMONG,
    )  # fmt: skip
    return conn.execute(statement, given, binary=True, prepare=True)


def _placed(conn: Connection, begun: Walk, places: Sequence[Place]) -> Cursor:
    """The rows in these places, and how near they are."""
    given = {
        "generation_id": begun.seen.generation_id,
        "vector": None if begun.vector is None else HalfVector(begun.vector),
        "segments": [segment for segment, _ in places],
        "slots": [slot for _, slot in places],
    }
    dimension = 0 if begun.vector is None else len(begun.vector)
    statement = _statement("placed" if dimension else "placed_only", begun.seen.home, dimension)
    return conn.execute(statement, given, binary=True, prepare=True)


@lru_cache(256)
def _statement(
    name: str, home: int, dimension: int, depth: int = 0, exact: LiteralString = "",
    restriction: LiteralString = "",
) -> LiteralString:  # fmt: skip
    """The statement for one kind of question."""
    composed = sql.SQL(statements("lookup")[name]).format(
        home=sql.Literal(home),
        dimension=sql.Literal(dimension),
        depth=sql.Literal(depth),
        exact=sql.SQL(exact),
        restriction=sql.SQL(restriction),
    )
    return composed.as_string(None)


def _near(rows: Iterable[Row], others: Iterable[Row]) -> Near:
    best = [Scored((row["segment_id"], row["slot"]), row["similarity"]) for row in rows]
    return Near(
        best,
        {
            (row["segment_id"], row["slot"]): row["similarity"]
            for row in others
            if row["similarity"] is not None
        },
    )


def passages(
    conn: Connection, seen: View, rows: Sequence[tuple[int, int]], neighbors: int
) -> Cursor:
    """The texts of rows, by document id and ordinal, and where they come from."""
    given = {
        "generation_id": seen.generation_id,
        "documents": [document for document, _ in rows],
        "ordinals": [ordinal for _, ordinal in rows],
        "neighbors": neighbors,
    }
    return conn.execute(statements("lookup")["passages"], given, binary=True)


def last_published(conn: Connection, generation_id: int) -> Cursor:
    """When the generation was last published to."""
    return conn.execute(statements("lookup")["last_published"], {"generation_id": generation_id})
