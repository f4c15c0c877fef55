"""Locks between processes, which the kernel releases however their holder ends."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rag.errors import UnavailableError

_POLL_S = 0.02


class FileLock:
    """An advisory lock on a file: shared by users, exclusive for the one that starts or stops."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def try_shared(self) -> bool:
        return self._try(fcntl.LOCK_SH)

    def try_exclusive(self) -> bool:
        return self._try(fcntl.LOCK_EX)

    def wait_shared(self, timeout_s: float) -> None:
        self._wait(fcntl.LOCK_SH, timeout_s)

    def wait_exclusive(self, timeout_s: float) -> None:
        self._wait(fcntl.LOCK_EX, timeout_s)

    def release(self) -> None:
        """Give the lock up. Closing, not unlocking: a forked child may still hold it."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _try(self, mode: int) -> bool:
        try:
            fcntl.flock(self._handle, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _wait(self, mode: int, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while not self._try(mode):
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"Another process has held {self._path} for {timeout_s:.0f} s: wait for it to "
                    "end, or end it, and try again.",
                    code="stack_locked",
                )
            time.sleep(_POLL_S)


@contextmanager
def exclusive(path: Path, timeout_s: float) -> Iterator[None]:
    """Only one process at a time is inside."""
    lock = FileLock(path)
    try:
        lock.wait_exclusive(timeout_s)
        yield
    finally:
        lock.release()
