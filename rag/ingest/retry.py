"""When a failed document is tried again: decided by the error's type and the attempts so far."""

from __future__ import annotations

import random

from rag.errors import RagError, TransientError
from rag.settings import Settings

BASE_S = 30.0
CAP_S = 3600.0


def retry_in(error: RagError, attempts: int, settings: Settings) -> float | None:
    """Seconds until the next try, or None when only a person or a change brings one.

    Exponential back-off with full jitter over the upper half of the step (30 s, 60 s, 120 s ...
    at most an hour), for transient errors that have attempts left."""
    if not isinstance(error, TransientError) or attempts >= settings.max_attempts:
        return None
    step = min(CAP_S, BASE_S * 2.0 ** (attempts - 1))
    return step * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret
