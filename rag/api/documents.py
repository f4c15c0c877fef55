"""GET /documents, POST /documents/retry, and a passage in its place: as text and on its page."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from rag.api.pages import Original
from rag.api.principal import Principal
from rag.api.service import Caller, Service, Serving
from rag.api.trail import Trail, Trailing
from rag.errors import NotFoundError
from rag.model import CollectionName, SourceObject
from rag.store import collections, documents, hints, ledger
from rag.store.database import Row
from rag.store.documents import Choice, Place

_MOST = 2**63 - 1
DocumentId = Annotated[int, Path(ge=1, le=_MOST)]
Ordinal = Annotated[int, Query(ge=0, le=2**31 - 1)]
_PICTURE = {"Cache-Control": "private, max-age=300"}


def list_documents(
    service: Serving,
    caller: Caller,
    collection: Annotated[str, Query(max_length=127, examples=["acme/docs"])],
    state: Literal["live", "partial", "pending", "failed"] | None = None,
    q: Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$")] = None,
    after: Annotated[int | None, Query(ge=1, le=_MOST)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> dict[str, Any]:
    """Documents of a collection with state, stage and failure; `next` goes into `after`."""
    name = caller.open(CollectionName.parse(collection))
    choice = Choice(state=state, words=q or None, after=after, limit=limit + 1)
    with service.reading(name.namespace) as conn:
        found = collections.find_collection(conn, name)
        rows = documents.list_documents(conn, found.id, choice, caller.principals)
    shown = rows[:limit]
    return {
        "documents": [_as_object(row) for row in shown],
        "next": shown[-1]["id"] if len(rows) > limit else None,
    }


def _as_object(row: Row) -> dict[str, Any]:
    failure = None
    if row["state"] == "failed":
        failure = {name: row[name] for name in ("code", "reason", "kind", "attempts")}
    return {
        "document_id": row["id"],
        "document": row["uri"].rstrip("/").rpartition("/")[2],
        "uri": row["uri"],
        "title": row["title"],
        "state": row["state"],
        "stage": row["stage"],
        "is_searchable": row["is_served"],
        "failure": failure,
        "media_type": row["media_type"],
        "pages": row["page_count"],
        "chunks": row["chunk_count"],
        "size_bytes": row["size_bytes"],
        "modified_at": row["modified_at"],
        "published_at": row["published_at"],
    }


class Again(BaseModel):
    """What to try again: one document of a collection, or all that failed."""

    model_config = ConfigDict(extra="forbid")

    collection: Annotated[str, Field(max_length=127, examples=["acme/docs"])]
    document_id: int | None = Field(None, ge=1, le=_MOST)


def retry(body: Again, service: Serving, caller: Caller) -> dict[str, Any]:
    """Make failures due again and have them looked at now."""
    name = caller.open(CollectionName.parse(body.collection))
    uri = None if body.document_id is None else _place(service, caller, body.document_id, name).uri
    with service.database.connection() as conn, conn.transaction():
        found = collections.find_collection(conn, name)
        failed = [row["uri"] for row in ledger.open_letters(conn, found.id, range(found.shards))]
        due = ledger.retry(conn, found.id, uri)
        hints.add_hints(conn, failed if uri is None else [uri])
    if uri is not None and due == 0:
        raise NotFoundError("This document has no failure.", code="no_such_failure")
    return {"collection": str(name), "due": due}


def passage(
    service: Serving, caller: Caller, trail: Trailing, document_id: DocumentId, ordinal: Ordinal = 0
) -> dict[str, Any]:
    """A served passage within the text around it; `page` names the picture when there is one."""
    row = _passage(service, caller, trail, document_id, ordinal)
    has_pages = row["media_type"] == "application/pdf" and row["page_first"] is not None
    return {
        "document_id": row["document_id"],
        "document": row["uri"].rstrip("/").rpartition("/")[2],
        "uri": row["uri"],
        "title": row["title"],
        "media_type": row["media_type"],
        "ordinal": row["ordinal"],
        "ordinals": row["chunk_count"],
        "headings": row["headings"],
        "page_first": row["page_first"],
        "page_last": row["page_last"],
        "pages": row["page_count"],
        "has_pages": has_pages,
        "before": row["before"],
        "passage": row["passage"],
        "after": row["after"],
        "is_cut_before": row["is_cut_before"],
        "is_cut_after": row["is_cut_after"],
        "generation": row["generation_id"],
    }


def page_image(
    service: Serving,
    caller: Caller,
    trail: Trailing,
    document_id: DocumentId,
    page: Annotated[int, Path(ge=1, le=100_000)],
    ordinal: Ordinal = 0,
) -> Response:
    """A page of a served PDF as a picture, with the passage marked; `X-Marked-At` says where the
    first mark is, as a share of the height."""
    row = _passage(service, caller, trail, document_id, ordinal)
    image = service.pages.image(_original(row), page, row["passage"])
    mark = {} if image.marked_at is None else {"X-Marked-At": f"{image.marked_at:.3f}"}
    return Response(image.png, media_type="image/png", headers={**_PICTURE, **mark})


def _passage(
    service: Service, caller: Principal, trail: Trail, document_id: int, ordinal: int
) -> Row:
    place = _place(service, caller, document_id)
    with service.reading(place.name.namespace) as conn:
        row = documents.find_passage(conn, document_id, ordinal)
    if row is None:
        raise NotFoundError(
            "There is no such passage: the document may have changed, or is not searchable yet.",
            code="chunk_not_found",
        )
    trail.note(place.name, [document_id])
    return row


def _place(
    service: Service, caller: Principal, document_id: int, name: CollectionName | None = None
) -> Place:
    """Where the document is; what the key does not open does not exist."""
    with service.reading_for(caller) as conn:
        place = documents.find_place(conn, document_id, caller.principals)
    if place is None or not caller.may_open(place.name) or name not in (None, place.name):
        raise NotFoundError("There is no such document.", code="document_not_found")
    return place


def _original(row: Row) -> Original:
    return Original(
        source_uri=row["source_uri"],
        object=SourceObject(
            uri=row["uri"],
            etag=row["etag"],
            size_bytes=row["size_bytes"],
            modified_at=row["modified_at"],
            version=row["object_version"],
        ),
        content_hash=bytes(row["content_hash"]),
    )
