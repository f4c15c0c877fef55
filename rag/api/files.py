"""GET /files, /files/chunks, /cards, /file-summary and DELETE /files."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any

from fastapi import Query

from rag.api.service import Caller, Service, Serving
from rag.api.trail import Trailing
from rag.errors import ConflictError, NotFoundError
from rag.model import CollectionName
from rag.sources.selection import ACCESS_LIST
from rag.store import collections, files
from rag.store.collections import Collection
from rag.store.database import Row
from rag.summary import summarise, topic_name

_SUMMARISED_CHARACTERS = 20_000
_FILE_SENTENCES = 6
_CARD_SENTENCES = 3

User = Annotated[str, Query(max_length=63)]
FileName = Annotated[str, Query(min_length=1, max_length=255, pattern=r"^[^\x00]+$")]
Limit = Annotated[int, Query(ge=1, le=1000)]
Skip = Annotated[int, Query(ge=0, le=100_000)]
# a summary takes milliseconds, and a collection may have any number of files
Summaries = Annotated[int, Query(ge=1, le=500)]


def list_files(
    service: Serving,
    caller: Caller,
    trail: Trailing,
    user_id: User,
    project_id: User,
    limit: Summaries = 100,
    skip: Skip = 0,
) -> dict[str, Any]:
    """The names of a collection's searchable files, all of them, and summaries, page by page."""
    name = caller.open(CollectionName.parse(f"{user_id}/{project_id}"))
    with service.reading(name.namespace) as conn:
        found = collections.find_collection(conn, name)
        names = files.served_names(conn, found, principals=caller.principals)
        rows = files.served_files(
            conn, found, characters=_SUMMARISED_CHARACTERS, limit=limit, skip=skip,
            principals=caller.principals,
        )  # fmt: skip
    trail.note(name, [row["document_id"] for row in rows])
    listed = [
        {"filename": row["filename"], "summary": summarise(row["text"], _FILE_SENTENCES)}
        for row in rows
    ]
    return {"files": listed, "filenames": names}


def file_summary(
    service: Serving,
    caller: Caller,
    trail: Trailing,
    user_id: User,
    project_id: User,
    filename: FileName,
) -> dict[str, Any]:
    """A file in six of its sentences."""
    name = caller.open(CollectionName.parse(f"{user_id}/{project_id}"))
    with service.reading(name.namespace) as conn:
        found = collections.find_collection(conn, name)
        rows = files.served_files(
            conn, found, filename, characters=_SUMMARISED_CHARACTERS, limit=1,
            principals=caller.principals,
        )  # fmt: skip
    trail.note(name, [row["document_id"] for row in rows])
    if not rows:
        raise NotFoundError("No summary found for that file.", code="summary_not_found")
    return {"filename": filename, "summary": summarise(rows[0]["text"], _FILE_SENTENCES)}


def chunks(
    service: Serving,
    caller: Caller,
    trail: Trailing,
    user_id: User,
    project_id: User,
    filename: FileName,
    limit: Limit = 20,
    with_embedding: bool = False,
) -> dict[str, Any]:
    """The passages of one file; vectors only when asked for."""
    name = caller.open(CollectionName.parse(f"{user_id}/{project_id}"))
    with service.reading(name.namespace) as conn:
        found = collections.find_collection(conn, name)
        rows = files.served_chunks(
            conn, found, filename, limit=limit, with_vectors=with_embedding,
            principals=caller.principals,
        )  # fmt: skip
    trail.note(name, [row["document_id"] for row in rows])
    made = [_card(name, row) for row in rows]
    for card, row in zip(made, rows, strict=True):
        card["embedding"] = row["vector"]
    return {"chunks": made}


def cards(
    service: Serving,
    caller: Caller,
    trail: Trailing,
    user_id: User,
    project_id: User,
    filename: FileName | None = None,
    limit: Limit = 50,
    skip: Skip = 0,
) -> dict[str, Any]:
    """The passages of a collection or of one file, page by page, without vectors."""
    name = caller.open(CollectionName.parse(f"{user_id}/{project_id}"))
    with service.reading(name.namespace) as conn:
        found = collections.find_collection(conn, name)
        rows = files.served_chunks(
            conn, found, filename, limit=limit, skip=skip, principals=caller.principals
        )
    trail.note(name, [row["document_id"] for row in rows])
    return {"cards": [_card(name, row) for row in rows]}


def delete_file(
    service: Serving, caller: Caller, user_id: User, project_id: User, filename: FileName
) -> dict[str, Any]:
    """Remove an uploaded file: from search at once, and from the object store."""
    name = caller.open(CollectionName.parse(f"{user_id}/{project_id}"))
    uri = service.bucket.source_uri(name) + filename
    with service.database.connection() as conn:
        found = collections.find_collection(conn, name)
        rows = files.documents_named(conn, found, filename, caller.principals)
        held = files.content_at(conn, found, [uri], caller.name, caller.principals)
        _check_deletable(rows, held.get(uri) is not None, uri, filename)
    # the object first: if we die here, the next look finishes the deletion; its list after it, so
    # that there is no moment in which everyone sees it
    service.bucket.delete(uri)
    service.bucket.delete(uri + ACCESS_LIST)
    _forget(service, found, uri, rows)
    return {"message": "File deleted"}


def _check_deletable(rows: list[Row], is_upload: bool, uri: str, filename: str) -> None:
    is_file = not filename.endswith(ACCESS_LIST)  # a list goes with its file
    if is_file and (is_upload or any(row["uri"] == uri for row in rows)):
        return
    if rows:
        raise ConflictError(
            f"{filename} was not uploaded: remove it where it comes from, at {rows[0]['uri']}.",
            code="not_an_upload",
        )
    raise NotFoundError("File not found", code="file_not_found")


def _forget(service: Service, found: Collection, uri: str, rows: list[Row]) -> None:
    with service.database.connection() as conn:
        for row in rows:
            if row["uri"] == uri:
                files.delete_document(conn, found, row)
        files.drop_waiting(conn, found, uri)


def _card(name: CollectionName, row: Row) -> dict[str, Any]:
    first = row["page_first"]
    return {
        "user_id": name.namespace,
        "project_id": name.collection,
        "filename": row["filename"],
        "topic_name": topic_name(row["text"]),
        "summary": summarise(row["text"], _CARD_SENTENCES),
        "content": " ".join(row["text"].split()),
        "page_span": None if first is None else [first, row["page_last"] or first],
        "card_id": f"{slug(row['filename'])}-c{row['ordinal'] + 1:04d}",
        "_id": row["id"],
    }


def slug(text: str) -> str:
    """ASCII letters, digits and single dashes."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
    words = re.sub(r"[^\w\s-]", "", plain).strip().lower()
    return re.sub(r"[\s_-]+", "-", words).strip("-")
