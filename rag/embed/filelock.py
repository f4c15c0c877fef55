"""Files that several processes make at once: one makes, the others wait, none sees half a file."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rag.errors import UnavailableError

_POLL_S = 0.1


@contextmanager
def locked(file: Path, timeout_s: float) -> Iterator[None]:
    """Hold the lock `file` between processes; a dead holder's lock lapses with it.

    Raises UnavailableError (`cache_locked`) after `timeout_s`."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as handle:
        _take(handle.fileno(), file, time.monotonic() + timeout_s)
        yield


def _take(descriptor: int, file: Path, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"Another process holds '{file}' for too long: end it, then try again.",
                    code="cache_locked",
                ) from None
            time.sleep(_POLL_S)
        else:
            return


def replace_text(file: Path, text: str) -> None:
    """Make `file` hold `text`, at once or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=".")
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    Path(name).replace(file)
