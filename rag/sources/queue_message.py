"""What a message of the notification queue says: which objects may have changed. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_plus


def changed_uris(body: str) -> tuple[str, ...] | None:
    """The objects that a message names, in any event (written, deleted, restored, expired): what
    became of them the next listing says. Empty for S3's test message; None when the message is not
    one of S3's, sent directly, through SNS or through EventBridge."""
    try:
        return _uris(json.loads(body))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _uris(message: Mapping[str, Any]) -> tuple[str, ...] | None:
    if message.get("Event") == "s3:TestEvent":
        return ()
    if "Records" in message:
        return tuple(dict.fromkeys(_uri_of_record(record) for record in message["Records"]))
    if message.get("Type") == "Notification":
        return changed_uris(message["Message"])
    if message.get("source") == "aws.s3":
        detail = message["detail"]
        # EventBridge, other than S3 itself, does not encode the key
        return (_uri(detail["bucket"]["name"], detail["object"]["key"]),)
    return None


def _uri_of_record(record: Mapping[str, Any]) -> str:
    place = record["s3"]
    return _uri(place["bucket"]["name"], unquote_plus(place["object"]["key"], errors="strict"))


def _uri(bucket: str, key: str) -> str:
    if not bucket or not key or "\0" in key:
        raise ValueError(f"no object: {bucket!r} {key!r}")
    return f"s3://{bucket}/{key}"
