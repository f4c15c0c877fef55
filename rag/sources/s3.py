"""Objects under a prefix of an S3-compatible store, as a source.

What is listed is pinned: a fetch gives the bytes of that version (or of that ETag), or an error.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from rag.errors import ConfigurationError
from rag.model import Listing, SourceObject
from rag.sources import s3_errors
from rag.sources.selection import EVERYTHING, Selection
from rag.sources.transfer import BLOCK_BYTES, Written, whole_or_nothing, write_blocks

S3Client: TypeAlias = Any  # boto3 makes its clients' classes at run time

_LOG = logging.getLogger(__name__)
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{1,254}")
_MD5 = re.compile(r"[0-9a-f]{32}")
_DIRECTORY_BUCKET = "--x-s3"
_POOL_SIZE = 32
_SLOWEST_BYTES_PER_S = 64 * 1024
_LEAST_TRANSFER_S = 60.0


class Address(NamedTuple):
    """A bucket and a key or prefix in it."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, uri: str) -> Address:
        """Read `s3://bucket/key`; the key is taken as it stands. Raises ConfigurationError."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        if not uri.startswith("s3://") or not _BUCKET.fullmatch(bucket):
            raise ConfigurationError(
                f"'{uri}' is not an S3 address: write s3://bucket/prefix/.", code="bad_source"
            )
        return cls(bucket, key)


class S3Source:
    """The objects under `s3://bucket/prefix/`; without the last slash, the one object of that key,
    or what is below it. Safe to use from several threads."""

    def __init__(
        self,
        uri: str,
        client: S3Client,
        selection: Selection = EVERYTHING,
        *,
        max_objects: int | None = None,
    ) -> None:
        self.uri = uri
        self._address = Address.parse(uri)
        self._client = client
        self._selection = selection
        self._max_objects = max_objects
        self._is_versioned: bool | None = None

    def list(self) -> Listing:
        """What is under the prefix now, with version ids where the bucket keeps versions.

        Raises ConfigurationError (`bucket_not_found`, `s3_credentials`, `s3_region`) or
        UnavailableError (`s3_unreachable`) when nothing can be read; a later failure gives what
        was read, marked incomplete."""
        return Listing.scanned(self._scan())

    def _scan(self) -> Generator[SourceObject, None, bool]:
        pages = self._pages_of_versions() if self._keeps_versions() else self._pages_of_objects()
        found = 0
        is_complete = True
        try:
            for page in pages:
                for obj in self._taken(page.entries):
                    if found == self._max_objects:
                        return False
                    found += 1
                    yield obj
                is_complete = not page.is_truncated
        except _LaterPageError as error:
            _LOG.warning("listing_incomplete source=%s cause=%s", self.uri, error.__cause__)
            is_complete = False
        return is_complete

    def fetch(self, obj: SourceObject, target: Path) -> None:
        """Write the listed version's bytes to `target`, checked by length, ETag and MD5.

        Raises TransientError: `object_gone`, `object_changed`, `object_truncated`,
        `object_corrupt`, `s3_unreachable`, `s3_credentials`; PolicyError `object_archived`."""
        with whole_or_nothing(target):
            try:
                answer = self._client.get_object(**_request(obj))
                with closing(answer["Body"]) as body:
                    _check_identity(obj, answer)
                    written = write_blocks(_blocks(body, obj), target)
            except _store_errors() as error:
                raise s3_errors.fetching_error(error, obj.uri) from error
            _check_content(obj, answer, written)

    def _keeps_versions(self) -> bool:
        """Whether the bucket keeps, or once kept, versions; asked once."""
        if self._is_versioned is None:
            try:
                answer = self._client.get_bucket_versioning(Bucket=self._address.bucket)
                # a suspended bucket still names the versions made before; see _version
                self._is_versioned = answer.get("Status") in ("Enabled", "Suspended")
            except _store_errors() as error:
                # some stores refuse this call for lack of permission, others for lack of the call
                if not s3_errors.is_not_offered(error):
                    raise s3_errors.listing_error(error, self._address.bucket) from error
                self._is_versioned = False
        return self._is_versioned

    def _pages_of_versions(self) -> Iterator[_Page]:
        try:
            for page in self._pages("list_object_versions"):
                current = [entry for entry in page.get("Versions", ()) if entry["IsLatest"]]
                yield _Page(current, bool(page.get("IsTruncated")))
        except _FirstPageError as error:
            if not s3_errors.is_not_offered(error.cause):
                raise s3_errors.listing_error(error.cause, self._address.bucket) from error.cause
            self._is_versioned = False
            yield from self._pages_of_objects()

    def _pages_of_objects(self) -> Iterator[_Page]:
        try:
            for page in self._pages("list_objects_v2"):
                yield _Page(page.get("Contents", ()), bool(page.get("IsTruncated")))
        except _FirstPageError as error:
            raise s3_errors.listing_error(error.cause, self._address.bucket) from error.cause

    def _pages(self, call: str) -> Iterator[dict[str, Any]]:
        paginator = self._client.get_paginator(call)
        pages = iter(paginator.paginate(Bucket=self._address.bucket, Prefix=self._address.key))
        is_first = True
        while True:
            try:
                page = next(pages, None)
            except _store_errors() as error:
                if is_first:
                    raise _FirstPageError(error) from error
                raise _LaterPageError from error
            if page is None:
                return
            yield page
            is_first = False

    def _taken(self, entries: Iterable[dict[str, Any]]) -> Iterator[SourceObject]:
        for entry in entries:
            key, size, modified_at = entry["Key"], entry["Size"], entry["LastModified"]
            if key.endswith("/") and size == 0:
                continue  # consoles make these to show empty folders
            path = self._path_below(key)
            if path is not None and self._selection.takes(path, size, modified_at):
                yield SourceObject(
                    uri=f"s3://{self._address.bucket}/{key}",
                    etag=entry["ETag"].strip('"'),
                    size_bytes=size,
                    modified_at=modified_at,
                    version=_version(entry),
                )

    def _path_below(self, key: str) -> str | None:
        """The key relative to the source; None when it only shares its first letters."""
        if "\0" in key:
            _LOG.warning("key_not_taken source=%s key=%r reason=NUL", self.uri, key)
            return None
        prefix = self._address.key
        if not prefix or prefix.endswith("/"):
            return key.removeprefix(prefix)
        if key == prefix:
            return key.rpartition("/")[2]
        return key.removeprefix(f"{prefix}/") if key.startswith(f"{prefix}/") else None


class _Page(NamedTuple):
    entries: Sequence[dict[str, Any]]
    is_truncated: bool


class _FirstPageError(Exception):
    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class _LaterPageError(Exception):
    pass


def s3_client(
    endpoint_url: str | None,
    region: str,
    *,
    attempts: int = 4,
    connect_timeout_s: float = 5.0,
    read_timeout_s: float = 20.0,
) -> S3Client:
    """An S3 client with finite time-outs and bounded retries; credentials are found the AWS way."""
    from boto3.session import Session
    from botocore.config import Config

    config = Config(
        retries={"mode": "standard", "total_max_attempts": attempts},
        connect_timeout=connect_timeout_s,
        read_timeout=read_timeout_s,
        max_pool_connections=_POOL_SIZE,
        s3={"addressing_style": "path" if endpoint_url else "auto"},
        request_checksum_calculation="when_required",  # other stores refuse the newer trailers
    )
    return Session().client("s3", endpoint_url=endpoint_url, region_name=region, config=config)


def _store_errors() -> tuple[type[Exception], ...]:
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

    return (BotoCoreError, ClientError, HTTPClientError)


def _version(entry: dict[str, Any]) -> str | None:
    """A real version id; `null` names whatever was written without one, so it pins nothing."""
    version = entry.get("VersionId")
    return None if version in (None, "", "null") else str(version)


def _request(obj: SourceObject) -> dict[str, str]:
    bucket, key = Address.parse(obj.uri)
    pin = {"VersionId": obj.version} if obj.version else {"IfMatch": f'"{obj.etag}"'}
    return {"Bucket": bucket, "Key": key, **pin}


def _check_identity(obj: SourceObject, answer: dict[str, Any]) -> None:
    """Some stores ignore If-Match, so the answer's own ETag decides."""
    if answer.get("ETag", "").strip('"') != obj.etag:
        raise s3_errors.object_changed(obj.uri)
    if answer["ContentLength"] != obj.size_bytes:
        raise s3_errors.object_truncated(obj.uri, answer["ContentLength"], obj.size_bytes)


def _blocks(body: Any, obj: SourceObject) -> Iterator[bytes]:
    limit_s = _LEAST_TRANSFER_S + obj.size_bytes / _SLOWEST_BYTES_PER_S
    deadline = time.monotonic() + limit_s
    while block := body.read(BLOCK_BYTES):
        yield block
        if time.monotonic() > deadline:
            raise s3_errors.too_slow(obj.uri, limit_s)


def _check_content(obj: SourceObject, answer: dict[str, Any], written: Written) -> None:
    if written.size_bytes != obj.size_bytes:
        raise s3_errors.object_truncated(obj.uri, written.size_bytes, obj.size_bytes)
    if _etag_is_md5(obj, answer) and written.md5 != obj.etag:
        raise s3_errors.object_corrupt(obj.uri)


def _etag_is_md5(obj: SourceObject, answer: dict[str, Any]) -> bool:
    """So it is for objects written in one part, unless keys of the customer encrypt them."""
    is_encrypted = answer.get("SSECustomerAlgorithm") or str(
        answer.get("ServerSideEncryption", "")
    ).startswith("aws:kms")
    is_directory = Address.parse(obj.uri).bucket.endswith(_DIRECTORY_BUCKET)
    return bool(_MD5.fullmatch(obj.etag)) and not is_encrypted and not is_directory
