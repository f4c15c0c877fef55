"""The object store in force, as a client of its own protocol."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rag.cli.backend import Backend
    from rag.sources.s3 import S3Client

_MAY_NOT_LIST = frozenset({"AccessDenied", "AllAccessDisabled"})


def client(backend: Backend) -> S3Client:
    """A client of the store that the settings, or the running stack, name."""
    from rag.cli.backend import with_object_store
    from rag.sources.s3 import s3_client

    settings = with_object_store(backend.settings, backend.endpoints)
    endpoint = settings.s3_endpoint_url or os.environ.get("AWS_ENDPOINT_URL_S3")
    return s3_client(endpoint, settings.s3_region)


def list_buckets(backend: Backend) -> list[str] | None:
    """The names of the buckets; None when the credentials in force may not list them.

    Raises what a listing raises: no answer, wrong credentials."""
    from botocore.exceptions import BotoCoreError, ClientError

    from rag.sources.s3_errors import error_code, listing_error

    try:
        answer = client(backend).list_buckets()
    except (BotoCoreError, ClientError) as error:
        if error_code(error) in _MAY_NOT_LIST:
            return None
        raise listing_error(error, "*") from error
    return [bucket["Name"] for bucket in answer.get("Buckets", [])]
