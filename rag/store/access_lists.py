"""Who may see a document: what the objects beside documents say, and its enforcement."""

from __future__ import annotations

from collections.abc import Sequence

from rag.store.database import Connection
from rag.store.queries import statements


def known_lists(conn: Connection, source_id: int) -> dict[str, str]:
    """The etag of each access list that was read, by its document's uri."""
    rows = conn.execute(statements("access_lists")["known_lists"], {"source_id": source_id})
    return {row["uri"]: row["etag"] for row in rows}


def erased(conn: Connection, collection_id: int, uris: Sequence[str]) -> set[str]:
    """Those of these documents that were erased on request: nothing may name them again."""
    given = {"collection_id": collection_id, "uris": list(uris)}
    return {row["uri"] for row in conn.execute(statements("access_lists")["erased"], given)}


def set_list(
    conn: Connection, source_id: int, uri: str, etag: str, principals: Sequence[str]
) -> None:
    """Only these may see the document of that uri; none means operators only."""
    given = {"source_id": source_id, "uri": uri, "etag": etag, "principals": list(principals)}
    conn.execute(statements("access_lists")["set_list"], given)


def hide_unless_listed(conn: Connection, source_id: int, uri: str) -> None:
    """A list that could not be read stays as it was; where there was none, nobody is let in. It
    is read again at the next look."""
    given = {"source_id": source_id, "uri": uri}
    conn.execute(statements("access_lists")["hide_unless_listed"], given)


def drop_lists(conn: Connection, source_id: int, uris: Sequence[str]) -> None:
    """The documents of these uris are everyone's again."""
    given = {"source_id": source_id, "uris": list(uris)}
    conn.execute(statements("access_lists")["drop_lists"], given)


def enforce(conn: Connection, collection_id: int, shard: int) -> int:
    """Give the shard's documents their lists; returns how many changed."""
    given = {"collection_id": collection_id, "shard": shard}
    return conn.execute(statements("access_lists")["enforce"], given).rowcount
