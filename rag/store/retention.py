"""Sweeping what nothing uses any more, erasing a document on request, and tracing a chunk back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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

# takes the bytes of a content out of a spool, and says whether they were there
Discard = Callable[[bytes], bool]


def _nothing_spooled(content_hash: bytes) -> bool:  # noqa: ARG001 - a port
    """For who has no spool."""
    return False


def sweep(conn: Connection, retention_s: float, query_retention_days: float = 0) -> dict[str, int]:
    """Remove generations, parsed text, chunks and vectors that nothing has used for
    `retention_s`, and questions older than `query_retention_days` (0: none); returns how many of
    each. Each namespace is one short transaction, under the lock of its writers, so nothing that a
    run is about to use goes."""
    sql = statements("retention")
    removed = {"generations": 0, "parsed": 0, "embeddings": 0}
    with conn.transaction():
        conn.execute(sql["retire_abandoned"], {"retention_s": retention_s})
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


def erase(
    conn: Connection, collection: Collection, uri: str, discard: Discard = _nothing_spooled
) -> Mapping[str, object]:
    """Remove every trace of a document, and of all that is attached to it, in one transaction and
    keep it out for good. `discard` takes a content out of this machine's spool.

    Returns the receipt: what was removed, what stays because other documents of the namespace hold
    the same content, and the proof: counts of what is left, all zero. Raises NotFoundError
    (`document_not_found`)."""
    sql = statements("retention")
    with conn.transaction():
        found = find_document(conn, collection, uri)
        # a run that registers the document right now ends first, and the next one sees the erasure
        lock_shard(conn, collection.id, found["shard"])
        scope = _scope_of_erasure(conn, collection, found)
        there = _traces(conn, scope)
        for step in ("search_rows", "answers", "document", "parsed"):
            conn.execute(sql[f"erase_{step}"], scope)
        # its words go, too, and not only its rows
        postings.purge(conn, collection.id, found["shard"])
        for step in ("erase_hints", "erase_access_lists", "erase_uploads"):
            conn.execute(sql[step], scope)
        conn.execute(sql["drop_unused_embeddings"], scope)
        there["spooled_files"] = sum(map(discard, scope["contents"]))
        left = _traces(conn, scope)
        left["spooled_files"] = sum(map(discard, scope["contents"]))
        receipt = {
            "removed": {name: count - left[name] for name, count in there.items()},
            "contents_kept_for_other_documents": scope["contents_kept"],
            "left": left,
        }
        conn.execute(
            sql["record_erasure"],
            {"collection_id": collection.id, "uri": uri, "receipt": Jsonb(receipt)},
        )
    return receipt


def _scope_of_erasure(conn: Connection, collection: Collection, found: Row) -> dict[str, Any]:
    """What an erasure is about, looked up while it is there, under the locks of its writers."""
    sql = statements("retention")
    scope: dict[str, Any] = {
        "collection_id": collection.id,
        "namespace_id": collection.namespace_id,
        "document_id": found["id"],
        "shard": found["shard"],
        # nothing younger than this moment is spared
        "retention_s": -1.0,
    }
    # in this order, as everywhere: a run that has the document in hand is waited for
    conn.execute(sql["lock_shard_of"], scope)
    documents = conn.execute(sql["documents_to_erase"], scope).fetchall()
    scope["document_ids"] = [row["id"] for row in documents]
    scope["uris"] = [row["uri"] for row in documents]
    conn.execute(statements("content")["lock_namespace"], scope)
    contents = conn.execute(sql["content_to_erase"], scope).fetchall()
    scope["contents"] = [bytes(row["content_hash"]) for row in contents if row["elsewhere"] == 0]
    scope["contents_kept"] = len(contents) - len(scope["contents"])
    scope["chunk_sets"] = [row["id"] for row in conn.execute(sql["chunk_sets_to_erase"], scope)]
    texts = conn.execute(sql["texts_to_erase"], scope)
    scope["texts"] = [row["embedded_hash"] for row in texts]
    scope["segments"] = [row["id"] for row in conn.execute(sql["segments_to_erase"], scope)]
    return scope


def _traces(conn: Connection, scope: Mapping[str, Any]) -> dict[str, int]:
    row = conn.execute(statements("retention")["traces"], scope).fetchone()
    assert row is not None
    return dict(row)


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


def lineage_examples(
    conn: Connection, generation_id: int, document_ids: Sequence[int]
) -> list[Row]:
    """What is behind the first chunk of each of these documents, as one generation serves it."""
    given = {"generation_id": generation_id, "document_ids": list(document_ids)}
    return conn.execute(statements("retention")["lineage_examples"], given).fetchall()
