"""How the product's errors end a step: one clear line, retried only when a retry can help."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from rag.errors import RagError, TransientError

# a database or an object store that restarts is back within half a minute
RETRIES = 2
RETRY_AFTER_S = 10.0


@contextmanager
def named_failures() -> Iterator[None]:
    """Turn a RagError into a step failure that says what to do; only a transient one is retried,
    and a bug never is."""
    try:
        yield
    except TransientError as error:
        raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=RETRY_AFTER_S) from error
    except RagError as error:
        raise dg.Failure(
            description=error.message,
            metadata={"code": error.code, "kind": error.kind},
            allow_retries=False,
        ) from error
