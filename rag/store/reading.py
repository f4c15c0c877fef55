"""Searchable documents as a reader sees them: lists, and their text."""

from __future__ import annotations

from collections.abc import Sequence

from rag.errors import NotFoundError
from rag.model import CollectionName
from rag.store.database import Connection, Row
from rag.store.queries import statements


def served_documents(
    conn: Connection,
    name: CollectionName,
    *,
    principals: Sequence[str] | None,
    words: str | None = None,
    after: str | None = None,
    limit: int = 50,
) -> list[Row]:
    """Documents by address, after this one, with these words in address or title. Raises
    NotFoundError (`collection_not_found`)."""
    _check(conn, name)
    return conn.execute(
        statements("reading")["served_documents"],
        {**_scope(name, principals), "words": words, "after": after, "limit": limit},
    ).fetchall()


def served_text(
    conn: Connection,
    name: CollectionName,
    document: str,
    *,
    principals: Sequence[str] | None,
    start: int = 0,
    length: int,
) -> Row | None:
    """`length` characters of a document's text from `start`; None when the collection serves no
    document of that address or name. Raises NotFoundError (`collection_not_found`)."""
    _check(conn, name)
    return conn.execute(
        statements("reading")["served_text"],
        {**_scope(name, principals), "document": document, "start": start, "length": length},
    ).fetchone()


def _scope(name: CollectionName, principals: Sequence[str] | None) -> dict[str, object]:
    return {
        "namespace": name.namespace,
        "collection": name.collection,
        "principals": None if principals is None else list(principals),
    }


def _check(conn: Connection, name: CollectionName) -> None:
    row = conn.execute(statements("reading")["is_collection"], _scope(name, None)).fetchone()
    if row is None or not row["is_there"]:
        raise NotFoundError(f"There is no collection {name}.", code="collection_not_found")
