"""The object store as uploads need it: put a stream, delete an object."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from rag.errors import UnavailableError
from rag.model import CollectionName
from rag.sources.s3 import S3Client


class Bucket:
    """Uploaded files, each collection under a prefix of its own. The client is made at first use;
    safe to use from several threads."""

    def __init__(self, name: str, make_client: Callable[[], S3Client]) -> None:
        self.name = name
        self._make_client = make_client
        self._client: S3Client = None
        self._is_made = False

    def source_uri(self, name: CollectionName) -> str:
        """The source that a collection's uploads are."""
        return f"s3://{self.name}/uploads/{name}/"

    def put(self, uri: str, file: IO[bytes]) -> None:
        """Store the file from its beginning, as a stream. Raises UnavailableError
        (`object_store_unavailable`)."""
        file.seek(0)
        with _named_errors():
            self._ensure_bucket()
            # without threads: a request must not have eight
            self._ready().upload_fileobj(file, self.name, self._key(uri), Config=_plain_transfer())

    def delete(self, uri: str) -> None:
        """Remove the object; one that is not there is no error."""
        with _named_errors():
            self._ready().delete_object(Bucket=self.name, Key=self._key(uri))

    def clear(self, name: CollectionName) -> None:
        """Remove every object of a collection's uploads, lists of principals among them."""
        from botocore.exceptions import ClientError

        prefix = self._key(self.source_uri(name))
        with _named_errors():
            pages = self._ready().get_paginator("list_objects_v2")
            try:
                for page in pages.paginate(Bucket=self.name, Prefix=prefix):
                    for each in page.get("Contents", []):
                        self._ready().delete_object(Bucket=self.name, Key=each["Key"])
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") != "NoSuchBucket":
                    raise

    def _key(self, uri: str) -> str:
        return uri.removeprefix(f"s3://{self.name}/")

    def _ready(self) -> S3Client:
        if self._client is None:
            self._client = self._make_client()
        return self._client

    def _ensure_bucket(self) -> None:
        from botocore.exceptions import ClientError

        if self._is_made:
            return
        try:
            self._ready().head_bucket(Bucket=self.name)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") not in ("404", "NoSuchBucket"):
                raise
            self._create()
        self._is_made = True

    def _create(self) -> None:
        from botocore.exceptions import ClientError

        try:
            self._ready().create_bucket(Bucket=self.name)
        except ClientError as error:  # another upload may have been first
            if not error.response.get("Error", {}).get("Code", "").startswith("BucketAlready"):
                raise


def _plain_transfer() -> object:
    from boto3.s3.transfer import TransferConfig

    return TransferConfig(use_threads=False)


@contextmanager
def _named_errors() -> Iterator[None]:
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError, Boto3Error) as error:
        raise UnavailableError(
            "The object store did not take the request: try again; the service's log says more.",
            code="object_store_unavailable",
        ) from error
