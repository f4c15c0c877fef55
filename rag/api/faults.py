"""What an error is over HTTP: one body, one mapping, no secrets, no tracebacks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from rag.errors import (
    ConfigurationError,
    ConflictError,
    NotFoundError,
    PolicyError,
    QuotaError,
    RagError,
    TransientError,
)

RETRY_AFTER_S = 2
# wrong settings are the operator's matter; these are the caller's
_BAD_INPUT = frozenset({
    "bad_name", "empty_query", "bad_request", "too_many_files", "file_over_limit", "bad_filename",
    "bad_filter", "bad_mode", "bad_principals",
    "bad_rename_map", "bad_replace_filenames", "duplicate_filename",
})  # fmt: skip
_STATUS_OF_CODE = {
    "unauthenticated": 401,
    "forbidden": 403,
    "host_not_allowed": 403,
    "method_not_allowed": 405,
    "slow_body": 408,
    "unsupported_media_type": 415,
    "invalid_request": 422,
}
_STATUS_OF_TYPE: tuple[tuple[type[RagError], int], ...] = (
    (NotFoundError, 404),
    (ConflictError, 409),
    (PolicyError, 413),
    (QuotaError, 429),
    (TransientError, 503),
)
# one text, whether a thing is missing or somebody else's
_ONE_TEXT = {
    "collection_not_found": "There is no such collection, or this key does not open it.",
}
_UNAVAILABLE = "A server behind this service does not answer: try again in a moment."
_MISCONFIGURED = "The service is not set up right: its operator finds more in its log."
# transient errors whose message is ours and names no server
_SPEAKING = frozenset({
    "not_ready", "overloaded", "object_store_unavailable", "slow_body", "model_timeout",
    "model_cut_off",
})  # fmt: skip


class Problem(BaseModel):
    """An error, in the one shape that all of them have; for the API's description."""

    code: str
    message: str
    detail: str
    info: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """An error as it leaves: status, stable code, one line."""

    status: int
    code: str
    message: str
    info: dict[str, object]

    def body(self, request_id: str) -> dict[str, object]:
        """`detail` repeats the message where older clients look for it."""
        body = {
            "code": self.code,
            "message": self.message,
            "detail": self.message,
            "info": {**self.info, "request_id": request_id},
        }
        # it may quote what was sent, and that may have no form in UTF-8
        sound: dict[str, object] = json.loads(
            json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        )
        return sound

    def headers(self) -> dict[str, str]:
        """What the status asks for besides the body."""
        if self.status in (429, 503):
            return {"Retry-After": str(self.info.get("retry_after_s", RETRY_AFTER_S))}
        return {"WWW-Authenticate": "Bearer"} if self.status == 401 else {}


def fault_of(error: RagError) -> Fault:
    """How an error of ours leaves."""
    status = status_of(error)
    facts = error.facts if status < 500 else {}  # those of servers are for the log
    info = {"retryable": isinstance(error, TransientError), **facts}
    return Fault(status, error.code, _message(error, status), info)


def status_of(error: RagError) -> int:
    """The HTTP status of an error of ours."""
    if error.code in _STATUS_OF_CODE:
        return _STATUS_OF_CODE[error.code]
    if isinstance(error, ConfigurationError):
        return 400 if error.code in _BAD_INPUT else 503
    return next((status for kind, status in _STATUS_OF_TYPE if isinstance(error, kind)), 500)


def _message(error: RagError, status: int) -> str:
    if error.code in _ONE_TEXT:
        return _ONE_TEXT[error.code]
    if status == 500:
        return UNEXPECTED.message
    if isinstance(error, ConfigurationError) and status == 503:
        return _MISCONFIGURED
    if isinstance(error, TransientError) and status == 503 and error.code not in _SPEAKING:
        return _UNAVAILABLE
    return error.message


UNEXPECTED = Fault(500, "unexpected", "The service has a defect here; its log says more.", {})
