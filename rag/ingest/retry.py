"""When a failed document is tried again: decided by the error's type and the attempts so far."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping

from rag.errors import QuotaError, RagError, TransientError, UnavailableError
from rag.ingest.workshop import Workshop
from rag.settings import Settings
from rag.store import ledger
from rag.store.database import Row
from rag.store.ledger import Failure

BASE_S = 30.0
CAP_S = 3600.0


def is_outage(error: Exception | None) -> bool:
    """Whether a server failed and not the document: it costs the document no attempt."""
    return isinstance(error, UnavailableError | QuotaError)


def retry_in(error: RagError, attempts: int, settings: Settings) -> float | None:
    """Seconds until the next try, or None when only a person or a change brings one.

    Exponential back-off with full jitter over the upper half of the step (30 s, 60 s, 120 s ...
    at most an hour), for transient errors that have attempts left; an outage may last."""
    if not isinstance(error, TransientError):
        return None
    if attempts >= settings.max_attempts and not is_outage(error):
        return None
    step = min(CAP_S, BASE_S * 2.0 ** min(attempts - 1, 10))
    return step * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret


def file_failures(shop: Workshop, failures: Iterable[Failure]) -> None:
    """File what failed, each with the time of its next try."""
    ledger.file_dead_letters(
        shop.conn,
        [(one, retry_in(one.error, one.attempts, shop.settings)) for one in failures],
    )


def file_poison(
    shop: Workshop, rows: Iterable[Row], stage: str, fingerprint: str, error: RagError
) -> None:
    """File what no other try of that stage will mend for documents (`document_id`, `version_id`,
    `uri`) until they or the stage's configuration change."""
    failures = [
        Failure(row["document_id"], row["version_id"], row["uri"], stage, error, 1, fingerprint)
        for row in rows
    ]
    file_failures(shop, failures)


def next_attempt(
    before: Mapping[int, tuple[str, str, int]], document_id: int, fingerprint: str, error: RagError
) -> int:
    """The number of this try: those of the same thing that ended the same way are counted
    together. `before` is what `ledger.attempts_so_far` says."""
    fingerprinted, code, attempts = before.get(document_id, ("", "", 0))
    return attempts + 1 if (fingerprinted, code) == (fingerprint, error.code) else 1
