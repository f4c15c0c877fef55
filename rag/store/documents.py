"""Documents as people look at them: lists with state and failure, and one passage in its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rag.model import CollectionName
from rag.store.database import Connection, Row
from rag.store.queries import statements

_MARGIN = 1500  # characters of the text around a passage


@dataclass(frozen=True, slots=True)
class Choice:
    """Which documents to list: of one state, with these words in address or title, after this
    one."""

    state: str | None = None
    words: str | None = None
    after: int | None = None
    limit: int = 50


def list_documents(
    conn: Connection, collection_id: int, choice: Choice, principals: Sequence[str] | None
) -> list[Row]:
    """Documents that the principals (None: anyone's) may see, with state, stage and failure."""
    return conn.execute(
        statements("documents")["page"],
        {
            "collection_id": collection_id,
            "state": choice.state,
            "words": choice.words,
            "after": choice.after,
            "limit": choice.limit,
            "principals": None if principals is None else list(principals),
        },
    ).fetchall()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a document belongs."""

    name: CollectionName
    uri: str


def find_place(
    conn: Connection, document_id: int, principals: Sequence[str] | None
) -> Place | None:
    """The place of a document that is not deleted; None when the principals (None: anyone's) see
    none of that id."""
    row = conn.execute(
        statements("documents")["collection_of"],
        {
            "document_id": document_id,
            "principals": None if principals is None else list(principals),
        },
    ).fetchone()
    if row is None:
        return None
    name = CollectionName(row["namespace"], row["collection"])
    return Place(name, row["uri"])


def find_passage(conn: Connection, document_id: int, ordinal: int) -> Row | None:
    """A served passage with the text around it; None when the document serves no such one."""
    parameters = {"document_id": document_id, "ordinal": ordinal, "margin": _MARGIN}
    return conn.execute(statements("documents")["passage"], parameters).fetchone()
