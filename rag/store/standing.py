"""How a collection stands: documents by state, failures, generations, runs, progress."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rag.model import CollectionName
from rag.store import collections, ledger
from rag.store.database import Connection, Row
from rag.store.queries import statements


def _select(conn: Connection, name: str, collection_id: int, **more: object) -> list[Row]:
    parameters = {"collection_id": collection_id, **more}
    return conn.execute(statements("standing")[name], parameters).fetchall()


def documents_by_state(conn: Connection, collection_id: int) -> dict[str, int]:
    """Documents per state: live, partial, pending, failed, deleted."""
    rows = _select(conn, "documents_by_state", collection_id)
    return {row["state"]: row["documents"] for row in rows}


def documents(conn: Connection, collection_id: int) -> list[Row]:
    """Every document that is not deleted, with its state and what was made of it."""
    return _select(conn, "documents", collection_id)


def generations(conn: Connection, collection_id: int) -> list[Row]:
    """The collection's generations, newest first."""
    return _select(conn, "generations", collection_id)


def last_runs(conn: Connection, collection_id: int, limit: int = 5) -> list[Row]:
    """The newest runs, each with the counts of its stages."""
    return _select(conn, "last_runs", collection_id, limit=limit)


def last_stage_record(conn: Connection, collection_id: int) -> int:
    """A mark to ask `stages_since` with later."""
    (row,) = _select(conn, "last_stage_record", collection_id)
    return int(row["id"])


def stages_since(conn: Connection, collection_id: int, after: int) -> list[Row]:
    """What stages did after the mark, in order."""
    return _select(conn, "stages_since", collection_id, after=after)


def progress(conn: Connection, collection_id: int) -> Row:
    """How many documents and chunks have passed each stage."""
    (row,) = _select(conn, "progress", collection_id)
    return row


def failures(conn: Connection, collection_id: int, shards: int) -> list[Row]:
    """Open failures, newest first."""
    return ledger.open_letters(conn, collection_id, list(range(shards)))


def overview(conn: Connection, name: CollectionName) -> dict[str, object]:
    """The collection with its sources, documents by state and generations."""
    found = collections.find_collection(conn, name)
    return {
        "collection": str(name),
        "shards": found.shards,
        "language": found.language,
        "sources": collections.list_sources(conn, found),
        "documents": documents_by_state(conn, found.id),
        "generations": generations(conn, found.id),
    }


def full_status(conn: Connection, name: CollectionName) -> dict[str, object]:
    """The overview, with open failures and the last runs."""
    found = collections.find_collection(conn, name)
    return {
        **overview(conn, name),
        "failures": failures(conn, found.id, found.shards),
        "runs": last_runs(conn, found.id),
    }


@dataclass(frozen=True, slots=True)
class Scope:
    """What to look at: one namespace, collections of these names, and of documents that have a list
    those for these principals; None means all."""

    namespace: str | None = None
    collections: tuple[str, ...] | None = None
    principals: tuple[str, ...] | None = None

    @property
    def names(self) -> list[str] | None:
        return None if self.principals is None else list(self.principals)


def summaries(conn: Connection, scope: Scope) -> list[Row]:
    """How each collection of the scope stands, by name."""
    names = None if scope.collections is None else list(scope.collections)
    parameters = {
        "namespace": scope.namespace, "collections": names, "principals": scope.names,
    }  # fmt: skip
    return conn.execute(statements("standing")["summaries"], parameters).fetchall()


def _select_of(conn: Connection, name: str, ids: Sequence[int], **more: object) -> list[Row]:
    parameters = {"collection_ids": list(ids), **more}
    return conn.execute(statements("standing")[name], parameters).fetchall()


def failures_by_code(conn: Connection, collection_ids: Sequence[int], scope: Scope) -> list[Row]:
    """Open failures of these collections, counted by stage and code."""
    return _select_of(conn, "failures_by_code", collection_ids, principals=scope.names)


def generations_of(conn: Connection, collection_ids: Sequence[int], scope: Scope) -> list[Row]:
    """The newest three generations of each of these collections."""
    return _select_of(conn, "generations_of", collection_ids, principals=scope.names)


def runs_of(conn: Connection, collection_ids: Sequence[int], limit: int = 10) -> list[Row]:
    """The newest runs over these collections."""
    return _select_of(conn, "runs_of", collection_ids, limit=limit)
