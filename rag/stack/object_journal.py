"""Keeps what the embedded object store holds: bodies as files, the rest in one SQLite file.

moto keeps everything in memory. The journal notes which keys a request touched and writes them
before the response leaves, so a client never hears of an object that a restart would lose. Times,
ETags, version ids and delete markers come back as they were. Calls that configure buckets and
queues are kept as they came (the last one of each kind) and repeated at the start.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import FakeBucket, FakeDeleteMarker, FakeKey, S3Backend, s3_backends
from moto.s3.utils import _VersionedKeyStore

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
  bucket text, key text, position integer, version_id text, etag text, modified text,
  size integer, body text, attributes text, PRIMARY KEY (bucket, key, position)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS calls (
  place text, kind text, request text, body blob, PRIMARY KEY (place, kind)
);
"""
_INSERT = "INSERT INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"


class BodyFile:
    """An object's bytes on disk, read when asked for; stands in for moto's buffer in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._position = 0

    def seek(self, position: int) -> int:
        self._position = position
        return position

    def read(self, size: int = -1) -> bytes:
        with self.path.open("rb") as file:
            file.seek(self._position)
            data = file.read(size)
        self._position += len(data)
        return data

    def close(self) -> None:
        """Nothing is open between reads."""


class ChangedKeys(threading.local):
    """What the request in this thread has changed: (bucket, key)."""

    def __init__(self) -> None:
        self.names: set[tuple[str, str]] = set()


class NotedKeys(_VersionedKeyStore):  # type: ignore[misc]
    """A bucket's keys, noting which ones change."""

    def __init__(self, bucket: str, changed: ChangedKeys) -> None:
        super().__init__()
        self._bucket = bucket
        self._changed = changed

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        self._changed.names.add((self._bucket, key))

    def setlist(self, key: Any, list_: Any) -> None:
        if list_ and isinstance(list_[-1], FakeKey):
            _ = list_[-1].etag  # computed once, before others see it: moto's reading has no lock
        super().setlist(key, list_)
        self._changed.names.add((self._bucket, key))

    def pop(self, key: str) -> None:
        super().pop(key)
        self._changed.names.add((self._bucket, key))


class ObjectJournal:
    """The store's durable half; one per process, safe for threads."""

    def __init__(self, folder: Path) -> None:
        self._bodies = folder / "bodies"
        self._bodies.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(
            folder / "index.sqlite", check_same_thread=False, isolation_level=None
        )
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.executescript(_SCHEMA)
        self._lock = threading.Lock()
        self._changed = ChangedKeys()

    def calls(self) -> list[tuple[dict[str, str], bytes]]:
        """The configuring calls to repeat, oldest first."""
        rows = self._database.execute("SELECT request, body FROM calls ORDER BY rowid").fetchall()
        return [(json.loads(request), body) for request, body in rows]

    def keep_call(self, place: str, kind: str, request: dict[str, str], body: bytes) -> None:
        """Repeat this call after a restart, instead of an earlier one of its place and kind."""
        with self._lock:
            self._database.execute(
                "INSERT INTO calls VALUES (?, ?, ?, ?) ON CONFLICT (place, kind) "
                "DO UPDATE SET request = excluded.request, body = excluded.body",
                (place, kind, json.dumps(request), body),
            )

    def forget_calls(self, place: str) -> None:
        with self._lock:
            self._database.execute("DELETE FROM calls WHERE place = ?", (place,))

    def watch_buckets(self) -> None:
        """Note the changes of every bucket that exists now."""
        for bucket in list(_backend().buckets.values()):
            if not isinstance(bucket.keys, NotedKeys):
                bucket.keys = NotedKeys(bucket.name, self._changed)

    def restore(self) -> int:
        """Put the objects back into their buckets, which exist already. Returns how many."""
        self.watch_buckets()
        buckets = _backend().buckets
        rows = self._database.execute("SELECT * FROM objects ORDER BY bucket, key, position")
        count = 0
        for count, row in enumerate(rows, start=1):  # noqa: B007
            bucket = buckets.get(row[0])
            if bucket is not None:
                dict.setdefault(bucket.keys, row[1], []).append(self._revive(bucket, row))
        self._changed.names.clear()
        self._drop_unknown_bodies()
        return count

    def write_changes(self) -> None:
        """Make durable what the request in this thread has changed."""
        changed, self._changed.names = self._changed.names, set()
        if not changed:
            return
        with self._lock:
            rows = [row for bucket, key in changed for row in self._rows(bucket, key)]
            self._database.execute("BEGIN IMMEDIATE")
            dropped = [body for place in changed for body in self._delete(*place)]
            self._database.executemany(_INSERT, rows)
            self._database.execute("COMMIT")
            kept = {row[7] for row in rows}
        for body in dropped:
            if body and body not in kept:
                self._path(body).unlink(missing_ok=True)

    def _delete(self, bucket: str, key: str) -> list[str]:
        where = (bucket, key)
        found = self._database.execute(
            "SELECT body FROM objects WHERE bucket = ? AND key = ?", where
        ).fetchall()
        self._database.execute("DELETE FROM objects WHERE bucket = ? AND key = ?", where)
        return [row[0] for row in found]

    def _rows(self, bucket_name: str, key: str) -> list[tuple[object, ...]]:
        bucket = _backend().buckets.get(bucket_name)
        versions = bucket.keys.getlist(key, []) if bucket is not None else []
        return [
            (bucket_name, key, position, *self._columns(version))
            for position, version in enumerate(versions)
        ]

    def _columns(self, version: FakeKey | FakeDeleteMarker) -> tuple[object, ...]:
        modified = version.last_modified.isoformat()
        if isinstance(version, FakeDeleteMarker):
            return (version.version_id, None, modified, 0, None, "{}")
        attributes = {
            "metadata": dict(version.metadata),
            "storage_class": version.storage_class,
            "is_versioned": version._is_versioned,
            "checksum": [version.checksum_algorithm, version.checksum_value, version.checksum_type],
        }
        return (
            *(version.version_id, version.etag.strip('"'), modified, version.size),
            *(self._write_body(version), json.dumps(attributes)),
        )

    def _write_body(self, version: Any) -> str:
        """The name of the file with the version's bytes; from then on memory does not hold them."""
        if isinstance(version._value_buffer, BodyFile):
            return version._value_buffer.path.name
        path = self._path(uuid.uuid4().hex)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(version.value)
        with version.lock:
            buffer, version._value_buffer = version._value_buffer, BodyFile(path)
        buffer.close()
        return path.name

    def _path(self, body: str) -> Path:
        return self._bodies / body[:2] / body

    def _revive(self, bucket: FakeBucket, row: tuple[Any, ...]) -> FakeKey | FakeDeleteMarker:
        _, key, _, version_id, etag, modified, size, body, attributes = row
        version: Any
        if etag is None:
            version = FakeDeleteMarker(key=bucket.keys.get(key))
            version.name = key  # also when what it hides is deleted for good
        else:
            version = self._revive_object(bucket, key, version_id, etag, json.loads(attributes))
            version.contentsize = size
            version._value_buffer.close()
            version._value_buffer = BodyFile(self._path(body))
        version.last_modified = datetime.fromisoformat(modified)
        version._version_id = version_id
        revived: FakeKey | FakeDeleteMarker = version
        return revived

    def _revive_object(
        self, bucket: FakeBucket, key: str, version_id: str, etag: str, kept: dict[str, Any]
    ) -> FakeKey:
        version = FakeKey(
            name=key,
            value=b"",
            account_id=bucket.account_id,
            region_name=bucket.region_name,
            storage=kept["storage_class"],
            etag=etag,
            is_versioned=kept["is_versioned"],
            version_id=version_id,
            bucket_name=bucket.name,
        )
        version.checksum_algorithm, version.checksum_value, version.checksum_type = kept["checksum"]
        version.set_metadata(kept["metadata"], replace=False)
        return version

    def _drop_unknown_bodies(self) -> None:
        """Bodies written by a process that was killed before it noted their objects."""
        known = {row[0] for row in self._database.execute("SELECT body FROM objects")}
        for path in self._bodies.glob("*/*"):
            if path.name not in known:
                path.unlink(missing_ok=True)


def _backend() -> S3Backend:
    return s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
