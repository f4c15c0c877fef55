"""The places the conformance suite writes to: memory, a folder, a bucket."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Unpack

from rag.model import SourceOptions
from rag.ports import Source
from rag.sources.folder import FolderSource, uri_of
from rag.sources.s3 import S3Client, S3Source
from rag.sources.selection import Selection, selected_rows
from rag_assets_tests.fakes_source import FakeSource
from rag_assets_tests.sources.conformance import ODD_NAMES

ANY_BYTES = bytes(range(256))
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class FakePlace:
    """The source in memory."""

    odd_names = ODD_NAMES
    sample = ANY_BYTES

    def __init__(self) -> None:
        self._source = FakeSource()

    def source(self, **options: Unpack[SourceOptions]) -> Source:
        return selected_rows(self._source, Selection.of(**options))

    def put(self, name: str, data: bytes) -> None:
        self._source.put(name, data)

    def put_beside(self, data: bytes) -> None:
        """Nothing can lie beside it."""

    def delete(self, name: str) -> None:
        self._source.delete(name)

    def age(self, name: str) -> None:
        self._source.put(name, self._source.objects[name][0], at=LONG_AGO)

    @contextmanager
    def failing_halfway(self) -> Iterator[None]:
        kept = dict(self._source.objects)
        self._source.is_complete = False
        self._source.objects = dict(list(kept.items())[:2])
        yield
        self._source.is_complete = True
        self._source.objects = kept


class FolderPlace:
    """A folder on disk."""

    odd_names = ODD_NAMES
    sample = ANY_BYTES

    def __init__(self, root: Path) -> None:
        self.root = root / "docs"
        self.root.mkdir()

    def source(self, **options: Unpack[SourceOptions]) -> Source:
        return FolderSource(uri_of(self.root) + "/", Selection.of(**options))

    def put(self, name: str, data: bytes) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def put_beside(self, data: bytes) -> None:
        (self.root.parent / "docs2").mkdir()
        (self.root.parent / "docs2" / "b.txt").write_bytes(data)

    def delete(self, name: str) -> None:
        (self.root / name).unlink()

    def age(self, name: str) -> None:
        os.utime(self.root / name, times=(LONG_AGO.timestamp(),) * 2)

    @contextmanager
    def failing_halfway(self) -> Iterator[None]:
        """As for a user without the right: root would be let in whatever the mode says."""
        scandir = os.scandir

        def refuse(path: Path) -> Any:
            if Path(path).name == "3":
                raise PermissionError(13, "Permission denied", str(path))
            return scandir(path)

        os.scandir = refuse  # type: ignore[assignment]
        try:
            yield
        finally:
            os.scandir = scandir


class BucketPlace:
    """A prefix of a bucket."""

    odd_names = (*ODD_NAMES, "a//b.txt", "/leading.txt", "dots/../up.txt", "./here.txt", ".hidden")
    sample = ANY_BYTES

    def __init__(self, client: S3Client, bucket: str) -> None:
        self.client = client
        self.bucket = bucket

    @classmethod
    def create(cls, client: S3Client, *, versioned: bool = False) -> BucketPlace:
        """A new bucket."""
        bucket = f"test-{uuid.uuid4().hex[:12]}"
        client.create_bucket(Bucket=bucket)
        if versioned:
            client.put_bucket_versioning(
                Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
            )
        return cls(client, bucket)

    def source(self, **options: Unpack[SourceOptions]) -> Source:
        return S3Source(f"s3://{self.bucket}/docs/", self.client, Selection.of(**options))

    def put(self, name: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=f"docs/{name}", Body=data)

    def put_beside(self, data: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key="docs2/b.txt", Body=data)

    def delete(self, name: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=f"docs/{name}")

    def age(self, name: str) -> None:
        """As far as listings say: no store lets its times be set."""
        key = f"docs/{name}"
        etag = self.client.head_object(Bucket=self.bucket, Key=key)["ETag"]

        def age(parsed: dict[str, Any], **_: object) -> None:
            for entry in (*parsed.get("Contents", ()), *parsed.get("Versions", ())):
                if parsed["Name"] == self.bucket and (entry["Key"], entry["ETag"]) == (key, etag):
                    entry["LastModified"] = LONG_AGO

        for call in ("ListObjectsV2", "ListObjectVersions"):
            self.client.meta.events.register(f"after-call.s3.{call}", age)

    @contextmanager
    def failing_halfway(self) -> Iterator[None]:
        """Pages of two, of which only the first is let through."""
        pages = iter(range(1000))

        def small_pages(params: dict[str, Any], **_: object) -> None:
            params["MaxKeys"] = 2

        def break_off(**_: object) -> None:
            if next(pages) > 0:
                from botocore.exceptions import ReadTimeoutError

                raise ReadTimeoutError(endpoint_url="http://store")

        events = self.client.meta.events
        calls = ("ListObjectsV2", "ListObjectVersions")
        for call in calls:
            events.register(f"before-parameter-build.s3.{call}", small_pages)
            events.register(f"before-call.s3.{call}", break_off)
        try:
            yield
        finally:
            for call in calls:
                events.unregister(f"before-parameter-build.s3.{call}", small_pages)
                events.unregister(f"before-call.s3.{call}", break_off)
