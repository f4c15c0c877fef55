"""Files as people upload, list and delete them: upload requests, and served text by file name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from uuid import UUID

from rag.model import CollectionName
from rag.store import manifest
from rag.store.collections import Collection
from rag.store.database import Connection, Row
from rag.store.queries import statements

# a file that is longer on its way to the object store is not coming any more
_LONGEST_PUT_S = 900
_INTERRUPTED = {
    "code": "upload_interrupted",
    "reason": "The service stopped while it stored the file: send it again.",
}


@dataclass(frozen=True, slots=True)
class NewFile:
    """One file of an upload request: its name from now on, where it will be, what it holds."""

    position: int
    filename: str
    original_name: str
    uri: str
    size_bytes: int
    content_hash: bytes


def create_job(
    conn: Connection, job_id: UUID, collection: Collection, principal: str, files: Sequence[NewFile]
) -> None:
    """Keep an upload request before any byte of it is stored."""
    sql = statements("files")
    job = {"job_id": job_id, "collection_id": collection.id, "principal": principal}
    with conn.transaction():
        conn.execute(sql["create_job"], job)
        for file in files:
            conn.execute(sql["add_file"], {"job_id": job_id, **asdict(file)})


def mark_stored(conn: Connection, job_id: UUID, position: int) -> None:
    """The object store has the file."""
    conn.execute(statements("files")["stored"], {"job_id": job_id, "position": position})


def mark_not_stored(conn: Connection, job_id: UUID, position: int, code: str, reason: str) -> None:
    """The object store did not take the file, and why."""
    what = {"job_id": job_id, "position": position, "code": code, "reason": reason}
    conn.execute(statements("files")["not_stored"], what)


@dataclass(frozen=True, slots=True)
class Job:
    """An upload request: where it went, when, and how each of its files stands."""

    id: UUID
    name: CollectionName
    created_at_s: float
    files: tuple[Row, ...]


def find_job(conn: Connection, job_id: UUID) -> Job | None:
    """The upload request of that id; its state is that of its files' documents now."""
    sql = statements("files")
    row = conn.execute(sql["find_job"], {"job_id": job_id}).fetchone()
    if row is None:
        return None
    given = {"job_id": job_id, "longest_put_s": _LONGEST_PUT_S, **_INTERRUPTED}
    files = conn.execute(sql["files_of_job"], given).fetchall()
    name = CollectionName(row["namespace"], row["collection"])
    return Job(job_id, name, row["created_at"].timestamp(), tuple(files))


def lock_uploads(conn: Connection, collection: Collection) -> None:
    """Until the end of the transaction no other upload to the collection begins."""
    conn.execute(statements("files")["lock_uploads"], {"collection_id": collection.id})


def on_the_way(conn: Connection, collection: Collection, uris: Sequence[str]) -> set[str]:
    """Which of these addresses another upload is storing a file to at this moment."""
    given = {"collection_id": collection.id, "uris": list(uris), "longest_put_s": _LONGEST_PUT_S}
    return {row["uri"] for row in conn.execute(statements("files")["on_the_way"], given)}


def content_at(
    conn: Connection, collection: Collection, uris: Sequence[str], uploader: str,
    principals: Sequence[str] | None = (),
) -> dict[str, bytes | None]:  # fmt: skip
    """The hash of what each address holds now or will hold when it is looked at; None for what the
    principals (None: anyone's) may not see. Who may see what nobody looked at yet is not known: its
    `uploader` may."""
    parameters = {
        "collection_id": collection.id, "uris": list(uris), "uploader": uploader,
        "sees_all": principals is None, "principals": list(principals or ()),
    }  # fmt: skip
    rows = conn.execute(statements("files")["content_at"], parameters)
    return {row["uri"]: bytes(row["content_hash"]) if row["is_seen"] else None for row in rows}


def served_names(
    conn: Connection, collection: Collection, *, principals: Sequence[str] | None = ()
) -> list[str]:
    """File names of all served documents that the principals (None: anyone's) may see, in order."""
    parameters = {
        "collection_id": collection.id,
        "sees_all": principals is None, "principals": list(principals or ()),
    }  # fmt: skip
    rows = conn.execute(statements("files")["served_names"], parameters).fetchall()
    return [row["filename"] for row in rows]


def served_files(
    conn: Connection, collection: Collection, filename: str | None = None, *,
    characters: int, limit: int, skip: int = 0, principals: Sequence[str] | None = (),
) -> list[Row]:  # fmt: skip
    """A page of the served documents that the principals (None: anyone's) may see, by file name,
    with the first `characters` of their text."""
    parameters = {
        "collection_id": collection.id, "filename": filename, "characters": characters,
        "limit": limit, "skip": skip,
        "sees_all": principals is None, "principals": list(principals or ()),
    }  # fmt: skip
    return conn.execute(statements("files")["served_files"], parameters).fetchall()


def served_chunks(
    conn: Connection,
    collection: Collection,
    filename: str | None,
    *,
    limit: int,
    skip: int = 0,
    with_vectors: bool = False,
    principals: Sequence[str] | None = (),
) -> list[Row]:
    """Served passages of the documents that the principals (None: anyone's) may see, in the order
    of their documents."""
    return conn.execute(
        statements("files")["served_chunks"],
        {
            "collection_id": collection.id,
            "filename": filename,
            "limit": limit,
            "skip": skip,
            "with_vectors": with_vectors,
            "sees_all": principals is None,
            "principals": list(principals or ()),
        },
    ).fetchall()


def documents_named(
    conn: Connection, collection: Collection, filename: str, principals: Sequence[str] | None = ()
) -> list[Row]:
    """Documents of that file name that the principals (None: anyone's) may see, served or not."""
    parameters = {
        "collection_id": collection.id, "filename": filename,
        "sees_all": principals is None, "principals": list(principals or ()),
    }  # fmt: skip
    return conn.execute(statements("files")["documents_named"], parameters).fetchall()


def delete_document(conn: Connection, collection: Collection, row: Row) -> None:
    """Out of search at once; a listing that began before does not bring it back."""
    with conn.transaction():
        manifest.lock_shard(conn, collection.id, row["shard"])
        manifest.delete_documents(conn, [row["id"]], manifest.clock(conn))


def drop_waiting(conn: Connection, collection: Collection, uri: str) -> None:
    """What was uploaded to that address, and deleted before anyone looked, has come to its end."""
    reason = "The file was deleted before it was read."
    why = {"code": "file_deleted", "reason": reason}
    parameters = {"collection_id": collection.id, "uri": uri, **why}
    conn.execute(statements("files")["drop_waiting"], parameters)


def backlog(conn: Connection) -> Row:
    """Hints nobody has looked at, and the age of the oldest last look at a source in seconds."""
    row = conn.execute(statements("files")["backlog"]).fetchone()
    assert row is not None
    return row


def counts(conn: Connection) -> list[Row]:
    """Documents of all collections by state, with the age of the oldest of each in seconds."""
    return conn.execute(statements("files")["counts"]).fetchall()
