"""Every error the product raises on purpose.

    RagError
    ├── TerminalError        never retried: a person or a new version must act
    │   ├── ConfigurationError   a setting is missing, wrong or contradictory
    │   ├── NotFoundError        a named thing does not exist
    │   ├── ConflictError        a named thing exists already, or changed meanwhile
    │   ├── PoisonError          this document can not be processed (any try ends alike)
    │   └── PolicyError          a limit or rule forbids this document
    └── TransientError       retried with back-off
        ├── UnavailableError     a server did not answer or refused us for now
        └── QuotaError           a provider's rate or budget is used up

Retry is decided by type alone, never by message text. `code` is stable: it stands in the API, the
CLI, dead letters and docs/errors.md. A message says what happened and what to do next, on one line.
"""

from __future__ import annotations

from typing import ClassVar


class RagError(Exception):
    """Base of all errors raised on purpose; `kind` is what dead letters are filed under."""

    kind: ClassVar[str] = "transient"
    default_code: ClassVar[str] = "error"

    def __init__(self, message: str, *, code: str | None = None, **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.facts = facts


class TerminalError(RagError):
    """Trying again as is can not help."""

    kind = "poison"
    default_code = "terminal"


class ConfigurationError(TerminalError):
    """A setting is missing, wrong or contradictory; the message names it."""

    kind = "configuration"
    default_code = "configuration"


class NotFoundError(TerminalError):
    """A named collection, document, generation or object does not exist."""

    kind = "configuration"
    default_code = "not_found"


class ConflictError(TerminalError):
    """A named thing exists already, or changed under us."""

    kind = "configuration"
    default_code = "conflict"


class PoisonError(TerminalError):
    """The document's own bytes make processing fail, each time alike."""

    kind = "poison"
    default_code = "poison"


class PolicyError(TerminalError):
    """A limit (size, pages, type, inflation) forbids the document."""

    kind = "policy"
    default_code = "policy"


class TransientError(RagError):
    """May succeed when tried again later."""

    kind = "transient"
    default_code = "transient"


class UnavailableError(TransientError):
    """Postgres, the object store or a model endpoint can not be reached or is not ready."""

    default_code = "unavailable"


class QuotaError(TransientError):
    """A provider's rate limit or a configured budget is used up."""

    kind = "quota"
    default_code = "quota"
