"""GET /collections: which there are and how each stands."""

from __future__ import annotations

from typing import Any

from rag.api.principal import Principal
from rag.api.service import Caller, Serving
from rag.store import standing
from rag.store.database import Row


def list_collections(service: Serving, caller: Caller) -> dict[str, Any]:
    """The collections that the key opens: state, documents, chunks, failures, freshness and live
    generation."""
    with service.reading_for(caller) as conn:
        rows = standing.summaries(conn, scope_of(caller))
    return {"collections": [as_object(row) for row in rows]}


def scope_of(caller: Principal) -> standing.Scope:
    """What the key opens, as the store takes it."""
    return standing.Scope(caller.scope.namespace, caller.scope.collections, caller.principals)


def as_object(row: Row) -> dict[str, Any]:
    """A collection's standing as it leaves."""
    states = {state: row[state] for state in ("live", "partial", "pending", "failed")}
    return {
        "collection": f"{row['namespace']}/{row['collection']}",
        "state": state_of(row),
        "documents": {"total": sum(states.values()), **states},
        "chunks": row["chunks"],
        "failures": row["failed"],
        "freshness": {
            "published_at": row["published_at"],
            "looked_at": row["listed_at"],
            "oldest_pending_s": round(row["oldest_pending_s"], 1),
        },
        "deletions_held": row["deletions_held"],
        "live_generation": row["live_generation_id"],
    }


def state_of(row: Row) -> str:
    """held: deletions wait for somebody's word; empty; building: nothing is searchable yet;
    behind: some documents are not searchable in their newest version; current."""
    if row["deletions_held"]:
        return "held"
    if not any(row[state] for state in ("live", "partial", "pending", "failed")):
        return "empty"
    if row["live_generation_id"] is None:
        return "building"
    return "behind" if row["pending"] else "current"
