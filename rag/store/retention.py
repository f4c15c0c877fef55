"""Sweeping what nothing uses any more, erasing a document on request, and tracing a chunk back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg.types.json import Jsonb

from rag.errors import NotFoundError
from rag.store import partitions, postings
from rag.store.collections import Collection
from rag.store.database import Connection, Row
from rag.store.manifest import lock_shard
from rag.store.queries import statements

_DAY_S = 86_400.0
_QUERIES_AT_A_TIME = 10_000


def sweep(conn: Connection, retention_s: float, query_retention_days: float = 0) -> dict[str, int]:
    """Remove generations, parsed text, chunks and vectors that nothing has used for
    `retention_s`, and questions older than `query_retention_days` (0: none); returns how many of
    each. Each namespace is one short transaction, under the lock of its writers, so nothing that a
    run is about to use goes."""
    sql = statements("retention")
    removed = {"generations": 0, "parsed": 0, "embeddings": 0}
    with conn.transaction():
        rows = conn.execute(sql["drop_retired_generations"], {"retention_s": retention_s})
        dropped = [row["id"] for row in rows]
        conn.execute(sql["drop_rows_of_generations"], {"generations": dropped})
        partitions.drop_unused(conn)
    removed["generations"] = len(dropped)
    for namespace in conn.execute(sql["namespaces"]).fetchall():
        scope = {"namespace_id": namespace["id"], "retention_s": retention_s}
        with conn.transaction():
            conn.execute(statements("content")["lock_namespace"], scope)
            removed["parsed"] += conn.execute(sql["drop_unused_parsed"], scope).rowcount
            removed["embeddings"] += conn.execute(sql["drop_unused_embeddings"], scope).rowcount
    if query_retention_days:
        removed["queries"] = _drop_queries(conn, query_retention_days)
    return removed


def _drop_queries(conn: Connection, days: float) -> int:
    """Remove old questions with their answers, a few at a time; those that somebody gave feedback
    on stay with it."""
    given = {"retention_s": days * _DAY_S, "limit": _QUERIES_AT_A_TIME}
    total = 0
    while True:
        gone = conn.execute(statements("retention")["drop_old_queries"], given).rowcount
        total += gone
        if gone < _QUERIES_AT_A_TIME:
            return total


def find_document(conn: Connection, collection: Collection, uri: str) -> Row:
    """Id and shard of the collection's document of that name, whatever its state.

    Raises NotFoundError (`document_not_found`)."""
    found = conn.execute(
        statements("retention")["document_to_erase"], {"collection_id": collection.id, "uri": uri}
    ).fetchone()
    if found is None:
        raise NotFoundError(
            f"{collection.name} has no document {uri}: `rag status` lists its documents.",
            code="document_not_found",
        )
    return found


def erase(conn: Connection, collection: Collection, uri: str) -> Mapping[str, object]:
    """Remove every trace of a document, and of all that is attached to it, in one transaction and
    keep it out for good.

    Returns the receipt: what was removed, what stays because other documents of the namespace hold
    the same content, and the proof: counts of what is left, all zero. Raises NotFoundError
    (`document_not_found`)."""
    sql = statements("retention")
    with conn.transaction():
        found = find_document(conn, collection, uri)
        # a run that registers the document right now ends first, and the next one sees the erasure
        lock_shard(conn, collection.id, found["shard"])
        scope: dict[str, Any] = {
            "collection_id": collection.id,
            "namespace_id": collection.namespace_id,
            "document_id": found["id"],
            "uri": uri,
            # nothing younger than this moment is spared
            "retention_s": -1.0,
        }
        # in this order, as everywhere: a run that has the document in hand is waited for
        conn.execute(sql["lock_shard_of"], scope)
        rows = conn.execute(sql["documents_to_erase"], scope)
        scope["document_ids"] = [row["id"] for row in rows]
        conn.execute(statements("content")["lock_namespace"], scope)
        contents = conn.execute(sql["content_to_erase"], scope).fetchall()
        scope["contents"] = [row["content_hash"] for row in contents if row["elsewhere"] == 0]
        removed = {
            name: conn.execute(sql[f"erase_{name}"], scope).rowcount
            for name in ("search_rows", "document", "parsed")
        }
        # its words go, too, and not only its rows
        postings.purge(conn, collection.id, found["shard"])
        conn.execute(sql["erase_answers"], scope)
        conn.execute(sql["erase_hints"], scope)
        removed["embeddings"] = conn.execute(sql["drop_unused_embeddings"], scope).rowcount
        left = conn.execute(sql["traces"], scope).fetchone()
        receipt = {
            "removed": removed,
            "contents_kept_for_other_documents": len(contents) - len(scope["contents"]),
            "left": left,
        }
        conn.execute(sql["record_erasure"], {**scope, "receipt": Jsonb(receipt)})
    return receipt


def lineage(
    conn: Connection, collection: Collection, uri: str, ordinal: int | None = None
) -> list[Row]:
    """For each served chunk of the document: version, object, fingerprints and runs behind it."""
    return conn.execute(
        statements("retention")["lineage"],
        {
            "namespace": collection.name.namespace,
            "collection": collection.name.collection,
            "uri": uri,
            "ordinal": ordinal,
        },
    ).fetchall()
