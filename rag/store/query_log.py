"""The query log and the feedback on it: what is asked, found and said, for audit and learning."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from psycopg.errors import ReadOnlySqlTransaction
from psycopg.types.json import Jsonb

from rag.errors import NotFoundError
from rag.model import CollectionName, Hit
from rag.store.database import Connection, Row
from rag.store.queries import statements

Outcome = Literal["answered", "unknown", "cancelled", "failed"]
_COLLECTIONS_SHOWN = 20
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """A search as it was asked, by whom, and how long its parts took."""

    id: UUID
    name: CollectionName
    principal: str
    query: str
    mode: str
    k: int
    filters: Mapping[str, object]
    min_score: float | None
    encode_ms: float
    search_ms: float


def record_query(
    conn: Connection, asked: Asked, generation: int | None, found: Sequence[Hit]
) -> None:
    """Keep the search; its hits by document and ordinal, without text. A server that may not write
    still serves searches: what its log then lacks, who asked and when, is in ours."""
    hits = [
        {"document_id": hit.document_id, "ordinal": hit.ordinal, "rank": rank,
         "score": hit.score, "ranks": dict(hit.ranks)}
        for rank, hit in enumerate(found, start=1)
    ]  # fmt: skip
    values = {
        "id": asked.id,
        "namespace": asked.name.namespace,
        "collection": asked.name.collection,
        "generation_id": generation,
        "principal": asked.principal,
        "query": asked.query,
        "mode": asked.mode,
        "k": asked.k,
        "filters": Jsonb(dict(asked.filters)),
        "min_score": asked.min_score,
        "hits": Jsonb(hits),
        "encode_ms": asked.encode_ms,
        "search_ms": asked.search_ms,
    }
    with _unless_read_only(asked.id, asked.principal):
        conn.execute(statements("query_log")["record_query"], values)


def collection_of_query(conn: Connection, query_id: UUID) -> CollectionName | None:
    """Where a query was asked; None when there is no such query."""
    row = conn.execute(
        statements("query_log")["collection_of_query"], {"query_id": query_id}
    ).fetchone()
    return None if row is None else CollectionName(row["namespace"], row["collection"])


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of a logged query: `text` as far as it went out, times in milliseconds."""

    query_id: UUID
    searched: str
    text: str
    outcome: Outcome
    total_ms: float
    error_code: str | None = None
    cited: tuple[int, ...] = ()
    dropped: int = 0
    model: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    first_ms: float | None = None


def record_answer(conn: Connection, answered: Answered) -> None:
    """Keep the answer with its query, as far as the server may write; a repeat changes nothing."""
    values = {**asdict(answered), "answer": answered.text, "cited": list(answered.cited)}
    with _unless_read_only(answered.query_id):
        conn.execute(statements("query_log")["record_answer"], values)


@contextmanager
def _unless_read_only(query_id: UUID, principal: str = "") -> Iterator[None]:
    try:
        yield
    except ReadOnlySqlTransaction:
        _LOG.warning(
            "not_logged query_id=%s principal=%r cause=database_read_only", query_id, principal
        )


@dataclass(frozen=True, slots=True)
class Day:
    """One day of the log: counts of the whole, and rows by collection, busiest trouble first."""

    totals: Row
    collections: list[Row]


def queries_of_day(conn: Connection, start: datetime) -> Day:
    """What was asked in the 24 hours from `start`, and what came of it."""
    return _day(conn, start, "queries_of_day", "zero_hit_queries")


def feedback_of_day(conn: Connection, start: datetime) -> Day:
    """What was said of answers in the 24 hours from `start`."""
    return _day(conn, start, "feedback_of_day", "feedback_by_collection")


def _day(conn: Connection, start: datetime, totals: str, by_collection: str) -> Day:
    sql = statements("query_log")
    span = {"start": start, "end": start + timedelta(days=1), "limit": _COLLECTIONS_SHOWN}
    row = conn.execute(sql[totals], span).fetchone()
    assert row is not None
    return Day(row, conn.execute(sql[by_collection], span).fetchall())


@dataclass(frozen=True, slots=True)
class Feedback:
    """What somebody says of a query's answer; `document` and `ordinal` name the passage that
    should have been found."""

    query_id: UUID
    principal: str
    thumb: str
    comment: str | None = None
    document: str | None = None
    ordinal: int | None = None


def record_feedback(conn: Connection, said: Feedback, principals: Sequence[str] | None = ()) -> int:
    """Keep the feedback; returns its id. Raises NotFoundError (`document_not_found`) when the
    expected document is not one of the query's collection, or none that the principals (None:
    anyone's) may see."""
    sql = statements("query_log")
    parameters = {
        "query_id": said.query_id, "document": said.document,
        "sees_all": principals is None, "principals": list(principals or ()),
    }  # fmt: skip
    document_id = None
    if said.document is not None:
        row = conn.execute(sql["expected_document"], parameters).fetchone()
        if row is None:
            raise NotFoundError(
                "The collection has no one document of that name: give its uri.",
                code="document_not_found",
            )
        document_id = row["id"]
    made = conn.execute(
        sql["record_feedback"],
        {
            "query_id": said.query_id,
            "principal": said.principal,
            "thumb": said.thumb,
            "comment": said.comment,
            "document_id": document_id,
            "ordinal": said.ordinal,
        },
    ).fetchone()
    assert made is not None
    return int(made["id"])
