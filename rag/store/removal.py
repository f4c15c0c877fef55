"""Removing collections and namespaces whole, and asking for a look at a collection's sources."""

from __future__ import annotations

from rag.errors import ConflictError
from rag.store import partitions
from rag.store.collections import Collection
from rag.store.database import Connection
from rag.store.queries import statements

# nothing younger than this moment is spared
_NOW = -1.0


def remove_collection(conn: Connection, collection: Collection) -> list[str]:
    """Remove a collection and all that was made of its documents, in one transaction; what other
    collections of the namespace hold, too, stays. Returns the addresses of its uploaded files,
    whose bytes are the caller's to remove."""
    sql = statements("removal")
    scope: dict[str, object] = {
        "collection_id": collection.id,
        "namespace_id": collection.namespace_id,
        "retention_s": _NOW,
    }
    with conn.transaction():
        conn.execute(statements("content")["lock_namespace"], scope)
        uploads = conn.execute(sql["uploaded_objects"], scope).fetchall()
        rows = conn.execute(sql["generations_of"], scope).fetchall()
        dropped = {"generations": [row["id"] for row in rows]}
        conn.execute(sql["drop_collection"], scope)
        retention = statements("retention")
        conn.execute(retention["drop_rows_of_generations"], dropped)
        partitions.drop_unused(conn)
        conn.execute(retention["drop_unused_parsed"], scope)
        conn.execute(retention["drop_unused_embeddings"], scope)
    return [row["uri"] for row in uploads]


def ensure_namespace(conn: Connection, namespace: str) -> None:
    """A namespace of that name, made when there is none."""
    conn.execute(statements("collections")["ensure_namespace"], {"namespace": namespace})


def namespace_id(conn: Connection, namespace: str) -> int | None:
    """The id of a namespace; None when there is none of that name."""
    row = conn.execute(statements("removal")["find_namespace"], {"namespace": namespace}).fetchone()
    return None if row is None else int(row["id"])


def collections_of(conn: Connection, namespace: int) -> list[str]:
    """The names of a namespace's collections."""
    rows = conn.execute(statements("removal")["collections_of"], {"namespace_id": namespace})
    return [row["name"] for row in rows]


def remove_namespace(conn: Connection, namespace: int) -> None:
    """Remove an emptied namespace with its keys, text and vectors, in one transaction. Raises
    ConflictError (`namespace_not_empty`) when somebody made a collection in it meanwhile."""
    sql = statements("removal")
    scope = {"namespace_id": namespace}
    with conn.transaction():
        conn.execute(statements("content")["lock_namespace"], scope)
        if conn.execute(sql["collections_of"], scope).fetchone() is not None:
            raise ConflictError(
                "A collection was made in the namespace meanwhile: delete it again.",
                code="namespace_not_empty",
            )
        for step in ("drop_embeddings", "drop_parsed", "drop_namespace"):
            conn.execute(sql[step], scope)


def ask_for_look(conn: Connection, collection: Collection) -> None:
    """Have every source of the collection looked at now."""
    conn.execute(statements("removal")["ask_for_look"], {"collection_id": collection.id})
