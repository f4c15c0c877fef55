"""The manifest: what sources held at the last look, and how a new listing differs from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import NamedTuple

from rag.model import SourceObject
from rag.store.database import Connection, Row
from rag.store.queries import statements

_PAGE = 2_000


class Change(StrEnum):
    """How one object differs from the manifest."""

    NEW = "new"
    CHANGED = "changed"
    TOUCHED = "touched"  # only its time differs: nothing to fetch
    WAITING = "waiting"  # failed to fetch, unchanged, not due again
    VANISHED = "vanished"
    ELSEWHERE = "elsewhere"  # vanished, and another shard's to delete


@dataclass(frozen=True, slots=True)
class Difference:
    """One object that is not as the manifest has it."""

    change: Change
    obj: SourceObject
    document_id: int | None


@dataclass(frozen=True, slots=True)
class Scope:
    """One source seen from one shard (or from all shards of its collection)."""

    collection_id: int
    source_id: int
    shards: tuple[int, ...]

    @property
    def parameters(self) -> dict[str, object]:
        return {"source_id": self.source_id, "shards": list(self.shards)}


def clock(conn: Connection) -> datetime:
    """The server's time: take it before a listing begins."""
    row = conn.execute(statements("manifest")["clock"]).fetchone()
    assert row is not None
    now: datetime = row["now"]
    return now


@dataclass(frozen=True, slots=True)
class Differences:
    """Some of what the connection's last look at a source found, kept by the server for the
    session and read a page at a time: there may be a million."""

    conn: Connection
    source_id: int
    first: int
    count: int

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Difference]:
        end = self.first + self.count
        for page in range(self.first, end, _PAGE):
            rows = self.conn.execute(
                statements("manifest")["differences"],
                {"source_id": self.source_id, "first": page, "end": min(page + _PAGE, end)},
            )
            yield from [_difference(row) for row in rows]


class Compared(NamedTuple):
    """A listing beside the manifest: how many objects it named, and those that differ."""

    listed: int
    by_change: Mapping[Change, Differences]


def compare(
    conn: Connection,
    scope: Scope,
    objects: Iterable[SourceObject],
    listed_at: datetime,
    is_ours: Callable[[SourceObject], bool],
) -> Compared:
    """How `objects`, the whole source listed from `listed_at` on, differ from the manifest of
    `scope`, whose objects are those that are ours, by name.

    They go to the server while they are found, some thousand to a statement: none waits for a slow
    source, and no more than these are held here."""
    sql = statements("manifest")
    scoped = {**scope.parameters, "collection_id": scope.collection_id, "listed_at": listed_at}
    with conn.transaction():
        for step in ("create_listing", "create_difference", "clear_listing"):
            conn.execute(sql[step])
        conn.execute(sql["clear_differences"], scoped)
    remaining = iter(objects)
    while batch := tuple(islice(remaining, _PAGE)):
        with conn.transaction(), conn.cursor().copy(sql["copy_listing"]) as copy:
            for obj in batch:
                values = (obj.uri, obj.etag, obj.version, obj.size_bytes, obj.modified_at)
                copy.write_row((*values, is_ours(obj)))
    with conn.transaction():
        listed = conn.execute(sql["count_listed"]).fetchone()
        conn.execute(sql["insert_differences"], scoped)
        counted = conn.execute(sql["count_differences"], scoped).fetchall()
        conn.execute(sql["clear_listing"])
    assert listed is not None
    found = {Change(row["change"]): (row["first"], row["count"]) for row in counted}
    return Compared(
        listed["objects"],
        {
            change: Differences(conn, scope.source_id, *found.get(change, (0, 0)))
            for change in Change
        },
    )


def _difference(row: Row) -> Difference:
    return Difference(
        Change(row["change"]),
        SourceObject(
            uri=row["uri"],
            etag=row["etag"] or "",
            size_bytes=row["size_bytes"] or 0,
            modified_at=row["modified_at"],
            version=row["object_version"],
        ),
        row["document_id"],
    )


def count_documents(conn: Connection, scope: Scope) -> int:
    """Objects of the source that are not deleted, in all its shards."""
    row = conn.execute(statements("manifest")["count_documents"], scope.parameters).fetchone()
    assert row is not None
    return int(row["documents"])


def upsert_documents(
    conn: Connection, scope: Scope, shard: int, uris: Sequence[str]
) -> dict[str, int]:
    """Manifest rows for `uris` in `shard`; returns their ids by uri."""
    rows = conn.execute(
        statements("manifest")["upsert_documents"],
        {
            "collection_id": scope.collection_id,
            "source_id": scope.source_id,
            "shard": shard,
            "uris": list(uris),
        },
    )
    return {row["uri"]: row["id"] for row in rows}


def insert_versions(
    conn: Connection,
    scope: Scope,
    objects: Sequence[SourceObject],
    hashes: Sequence[bytes],
    run_id: str,
) -> set[int]:
    """Versions where the content is new to its document; returns the ids of those documents."""
    rows = conn.execute(
        statements("manifest")["insert_versions"],
        {**_columns(scope, objects), "hashes": list(hashes), "run_id": run_id},
    )
    return {row["document_id"] for row in rows}


def record_look(conn: Connection, scope: Scope, objects: Sequence[SourceObject]) -> None:
    """Take over what the listing said of `objects`, so that the next diff finds them unchanged."""
    conn.execute(statements("manifest")["record_look"], _columns(scope, objects))


def _columns(scope: Scope, objects: Sequence[SourceObject]) -> dict[str, object]:
    return {
        "source_id": scope.source_id,
        "uris": [obj.uri for obj in objects],
        "etags": [obj.etag for obj in objects],
        "object_versions": [obj.version for obj in objects],
        "sizes": [obj.size_bytes for obj in objects],
        "modified": [obj.modified_at for obj in objects],
    }


def content_of_documents(conn: Connection, ids: Sequence[int]) -> dict[int, bytes]:
    """The newest content hash of each document that has one and serves nothing older."""
    rows = conn.execute(statements("manifest")["content_of_documents"], {"ids": list(ids)})
    return {row["id"]: bytes(row["content_hash"]) for row in rows}


def overtaken(conn: Connection, scope: Scope, uris: Sequence[str], listed_at: datetime) -> set[str]:
    """Those of `uris` that were looked at, deleted or erased after `listed_at`."""
    parameters = {
        "collection_id": scope.collection_id,
        "source_id": scope.source_id,
        "uris": list(uris),
        "listed_at": listed_at,
    }
    return {row["uri"] for row in conn.execute(statements("manifest")["overtaken"], parameters)}


def rename_documents(
    conn: Connection, scope: Scope, names: Sequence[tuple[int, str]], listed_at: datetime
) -> set[int]:
    """Give documents that vanished by `listed_at` their new names; each keeps its versions, chunks
    and search rows. Returns the ids of those renamed: not of those seen again since."""
    if not names:
        return set()
    sql = statements("manifest")
    ids = [document_id for document_id, _ in names]
    rows = conn.execute(sql["still_vanished"], {"ids": ids, "listed_at": listed_at})
    gone = {row["id"] for row in rows}
    true = [(document_id, uri) for document_id, uri in names if document_id in gone]
    if true:
        given = {
            "source_id": scope.source_id,
            "ids": [document_id for document_id, _ in true],
            "uris": [uri for _, uri in true],
        }
        for step in ("drop_placeholders", "rename_attachments", "rename_documents"):
            conn.execute(sql[step], given)
    return gone


def delete_documents(conn: Connection, ids: Sequence[int], listed_at: datetime) -> int:
    """Tombstone the documents, with all that is attached to them, and take them out of search, less
    those seen again since `listed_at`; returns how many of `ids` were live."""
    parameters = {"ids": list(ids), "listed_at": listed_at}
    row = conn.execute(statements("manifest")["delete_documents"], parameters).fetchone()
    assert row is not None
    return int(row["documents"])


def is_tripped(conn: Connection, scope: Scope) -> bool:
    """Whether deletions of the source are held back; other shards that would decide on them wait
    until the transaction ends."""
    row = conn.execute(statements("manifest")["breaker"], {"source_id": scope.source_id}).fetchone()
    return row is not None and row["breaker_since"] is not None


def hold_deletions(conn: Connection, scope: Scope, ids: Sequence[int], listed_at: datetime) -> None:
    """Trip the breaker, or keep it tripped: the documents are marked missing, less those seen
    since `listed_at`, and stay in search."""
    sql = statements("manifest")
    conn.execute(sql["trip_breaker"], {"source_id": scope.source_id, "documents": len(ids)})
    if ids:
        conn.execute(sql["mark_missing"], {"ids": list(ids), "listed_at": listed_at})


def clear_breaker(conn: Connection, scope: Scope) -> None:
    """No deletion is held back any more."""
    conn.execute(statements("manifest")["clear_breaker"], {"source_id": scope.source_id})


def released(conn: Connection, scope: Scope, confirm_s: float) -> dict[int, int]:
    """The source's documents, with their shards, whose deletion was held back and is confirmed by
    an operator, or by any complete listing now that lacks them still."""
    parameters = {"source_id": scope.source_id, "confirm_s": confirm_s}
    rows = conn.execute(statements("manifest")["released"], parameters)
    return {row["id"]: row["shard"] for row in rows}


def confirm_deletions(conn: Connection, collection_id: int) -> list[tuple[str, int]]:
    """Let held-back deletions through; returns (source uri, documents) of each that waited."""
    parameters = {"collection_id": collection_id}
    rows = conn.execute(statements("manifest")["confirm_deletions"], parameters)
    return [(row["uri"], row["breaker_documents"]) for row in rows]


def mark_listed(conn: Connection, scope: Scope) -> None:
    """A complete listing of the source was reconciled now."""
    conn.execute(statements("manifest")["listed"], {"source_id": scope.source_id})


def lock_shard(conn: Connection, collection_id: int, shard: int) -> None:
    """Hold the lock of the shard's writers until the transaction ends."""
    parameters = {"collection_id": collection_id, "shard": shard}
    conn.execute(statements("manifest")["lock_shard"], parameters)


def is_packed(conn: Connection, document_id: int, version_id: int) -> bool:
    """Whether the attachments of this version, still the newest, are to be registered; the
    document is held still until the transaction ends."""
    parameters = {"document_id": document_id, "version_id": version_id}
    return conn.execute(statements("manifest")["is_packed"], parameters).fetchone() is not None


def attachable(conn: Connection, scope: Scope, parent_id: int, uris: Sequence[str]) -> set[str]:
    """Those of `uris` that the mail `parent_id` may give its attachments."""
    parameters = {
        "collection_id": scope.collection_id,
        "source_id": scope.source_id,
        "parent_id": parent_id,
        "uris": list(uris),
    }
    return {row["uri"] for row in conn.execute(statements("manifest")["attachable"], parameters)}


def attach(conn: Connection, parent_id: int, ids: Sequence[int]) -> None:
    """These documents, and no others, are attached to the newest version of the mail."""
    sql = statements("manifest")
    parameters = {"parent_id": parent_id, "ids": list(ids)}
    dropped = [row["id"] for row in conn.execute(sql["dropped_attachments"], parameters)]
    if dropped:
        delete_documents(conn, dropped, clock(conn))
    conn.execute(sql["attach"], parameters)


def containers(conn: Connection, document_id: int) -> list[Row]:
    """The mails a document is in, the nearest first; none for an object of a source."""
    return conn.execute(statements("manifest")["containers"], {"id": document_id}).fetchall()


def count_with_attachments(conn: Connection, document_id: int) -> int:
    """How many live documents a document and all that is attached to it are."""
    row = conn.execute(
        statements("manifest")["count_with_attachments"], {"id": document_id}
    ).fetchone()
    assert row is not None
    return int(row["documents"])
