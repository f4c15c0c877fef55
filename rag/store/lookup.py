"""Reading the search index. What a process remembers of it (rag/store/memory.py) ranks by words
before the database is asked; then one exchange brings the nearest rows, the texts, and the proof
that what was remembered still holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import LiteralString, TypeAlias

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql
from psycopg.pq import TransactionStatus

from rag.model import CollectionName
from rag.ranking import Bm25, Gains, Place, Scored, Spans
from rag.store.database import Connection, Row
from rag.store.filters import NO_FILTERS, Filters
from rag.store.memory import Memory, Outline
from rag.store.queries import statements
from rag.words import is_inflected, words_of

Cursor: TypeAlias = psycopg.Cursor[Row]

# of the rows that filters let through, so many are compared one by one rather than by the index
_EXACT_ROWS = 20_000
# how many rows an index scan keeps in view: more is nearer to exact and slower
_BREADTH = 160
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


@dataclass(frozen=True, slots=True)
class View:
    """One collection's index as a search sees it: what its words find is at hand."""

    outline: Outline
    bm25: Bm25
    permitted: Permitted | None

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
    gains = _gains(conn, found, words, memory) if words else ()
    allowed = None
    if scope.is_filtered or (scope.principals is not None and found.has_access_lists):
        allowed = _permitted(conn, scope)
    bm25 = Bm25(found.layout, gains, None if allowed is None else allowed.slots)
    return View(found, bm25, allowed)


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


def _gains(conn: Connection, found: Outline, words: set[str], memory: Memory) -> Iterable[Gains]:
    """What words add to the scores of rows: what is remembered, and what is worked out now."""
    lexemes = sorted(set(_lexemes(conn, found.language, words, memory).values()) - {""})
    gains = memory.gains(found.layout, lexemes)
    new = [lexeme for lexeme in lexemes if lexeme not in gains]
    if new:
        parts, is_whole = _postings(conn, found, new, memory)
        made = {lexeme: found.layout.gains(parts[lexeme]) for lexeme in new}
        if is_whole:
            memory.keep_gains(found.layout, made)
        gains |= made
    return [gains[lexeme] for lexeme in lexemes]  # in one order: sums round alike every time


def _postings(
    conn: Connection, found: Outline, lexemes: Sequence[str], memory: Memory
) -> tuple[dict[str, list[tuple[int, bytes]]], bool]:
    """The postings by lexeme: those remembered, and those read now; and whether all segments were
    seen."""
    segments = [row[0] for row in found.segment_rows]
    held = memory.postings(segments, lexemes)
    missing = [(s, x) for x in lexemes for s in segments if (s, x) not in held]
    if missing:
        held |= _read_postings(conn, missing, memory)
    parts = {
        lexeme: [(s, data) for s in segments if (data := held.get((s, lexeme)))]
        for lexeme in lexemes
    }
    return parts, len(held) >= len(segments) * len(lexemes)


def _lexemes(conn: Connection, language: str, words: set[str], memory: Memory) -> dict[str, str]:
    """What each word is indexed as, '' for a stop word."""
    found = {word: word for word in words if not is_inflected(word)}
    found |= memory.lexemes(language, words - found.keys())
    unknown = sorted(words - found.keys())
    if unknown:
        given = {"language": language, "words": unknown}
        rows = conn.execute(statements("lookup")["lexemes"], given).fetchall()
        read = {row["word"]: row["lexeme"] for row in rows}
        memory.keep_lexemes(language, read)
        found |= read
    return found


def _read_postings(
    conn: Connection, missing: Sequence[tuple[int, str]], memory: Memory
) -> dict[tuple[int, str], bytes]:
    segments = sorted({segment for segment, _ in missing})
    lexemes = sorted({lexeme for _, lexeme in missing})
    given = {"segments": segments, "lexemes": lexemes}
    rows = conn.execute(statements("lookup")["postings"], given, binary=True).fetchall()
    # a segment that we do not see (any more) has no row: that it has a word is not denied
    read = {(row["segment_id"], lexeme): b"" for row in rows for lexeme in lexemes}
    read |= {(row["segment_id"], row["lexeme"]): row["entries"] for row in rows if row["lexeme"]}
    memory.keep_postings(read)
    return read


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


def nearest(
    conn: Connection, seen: View, vector: NDArray[np.float32], depth: int,
    others: Sequence[Place] = (),
) -> Near:  # fmt: skip
    """The permitted rows nearest to the vector, and how near `others` are."""
    if not seen.rows:
        return Near([], {})
    conn.execute(statements("lookup")["settings"], {"search_breadth": str(_BREADTH)})
    return _near(_asked(conn, seen, vector, depth, others))


def findable(
    conn: Connection, scope: Scope, seen: View, vector: NDArray[np.float32] | None, depth: int,
    others: Sequence[Place],
) -> Findable:  # fmt: skip
    """The rows near the vector, `depth` of them, with the `others`, and what the index is made of
    now, in one exchange; where that differs from the view, nothing of it may be used."""
    named = statements("lookup")
    conn.execute(named["settings"], {"search_breadth": str(_BREADTH)})
    now = conn.execute(named["outline"], scope.parameters(), binary=True)
    rows = _asked(conn, seen, vector, depth, others)
    row = now.fetchone()
    return Findable(
        outline=None if row is None else _outline(row),
        near=_near(rows),
        rows={
            (row["segment_id"], row["slot"]): (row["document_id"], row["ordinal"]) for row in rows
        },
    )


def _asked(
    conn: Connection, seen: View, vector: NDArray[np.float32] | None, depth: int,
    others: Sequence[Place],
) -> list[Row]:  # fmt: skip
    """Through the vector index where there is one; should that give fewer rows than there are, or
    few are permitted, by comparing one by one."""
    if vector is not None and depth and seen.home and seen.rows > _EXACT_ROWS:
        rows = _executed(conn, seen, vector, depth, others, is_exact=False)
        if sum(row["is_near"] for row in rows) >= min(depth, seen.rows):
            return rows
    return _executed(conn, seen, vector, depth, others, is_exact=True)


def _executed(
    conn: Connection, seen: View, vector: NDArray[np.float32] | None, depth: int,
    others: Sequence[Place], *, is_exact: bool,
) -> list[Row]:  # fmt: skip
    is_restricted = seen.permitted is not None
    dimension = 0 if vector is None else len(vector)
    given = {
        "generation_id": seen.generation_id,
        "vector": None if vector is None else vector.tolist(),
        "documents": None if seen.permitted is None else seen.permitted.documents,
        "segments": [segment for segment, _ in others],
        "slots": [slot for _, slot in others],
    }
    statement = _statement(seen.home, dimension, depth, is_exact, is_restricted)
    return conn.execute(statement, given, binary=True, prepare=True).fetchall()


@lru_cache(256)
def _statement(
    home: int, dimension: int, depth: int, is_exact: bool, is_restricted: bool
) -> LiteralString:
    """The statement for one kind of question."""
    named = statements("lookup")
    parts = {
        "home": sql.Literal(home),
        "dimension": sql.Literal(dimension),
        "depth": sql.Literal(depth),
        "exact": sql.SQL("+ 0" if is_exact else ""),
        "restriction": sql.SQL(_AMONG if is_restricted else ""),
    }

    def part(name: str) -> sql.Composed:
        return sql.SQL(named[name]).format(**parts)

    has_vector, has_near = dimension > 0, dimension > 0 and depth > 0
    composed = sql.SQL(named["findable"]).format(
        **parts,
        vector=part("vector") if has_vector else sql.SQL("null"),
        near=part("near" if has_near else "not_near"),
        similarity=part("similarity") if has_vector else sql.SQL("null"),
    )
    return composed.as_string(None)


def _near(rows: Sequence[Row]) -> Near:
    best: list[Scored] = []
    others: dict[Place, float] = {}
    for row in rows:
        place = (row["segment_id"], row["slot"])
        if row["is_near"]:
            best.append(Scored(place, row["similarity"]))
        elif row["similarity"] is not None:
            others[place] = row["similarity"]
    return Near(best, others)


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
