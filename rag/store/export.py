"""Taking a collection's text out again."""

from __future__ import annotations

from collections.abc import Iterator

from rag.store.collections import Collection
from rag.store.database import Connection
from rag.store.queries import statements

_PAGE_ROWS = 100


def served_texts(conn: Connection, collection: Collection) -> Iterator[tuple[str, str, str]]:
    """(title, uri, text) of each searchable document, as of one moment, a page at a time."""
    with conn.transaction(), conn.cursor("served_texts") as cursor:
        cursor.itersize = _PAGE_ROWS
        cursor.execute(statements("export")["served_texts"], {"collection_id": collection.id})
        for row in cursor:
            yield row["title"], row["uri"], row["text"]
