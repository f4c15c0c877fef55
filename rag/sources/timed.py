"""A source that is looked at until a moment, whatever it does meanwhile."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator
from pathlib import Path
from threading import Event, Thread
from typing import Generic, TypeVar

from rag.model import Listing, SourceObject
from rag.ports import Source, StatefulSource

T = TypeVar("T")
# how many objects a source may be ahead of whoever takes them
_AHEAD = 5_000


class TimedSource:
    """A source whose listing is incomplete if it has not ended by `ends_at` (`time.monotonic()`);
    `is_cut` says that this happened."""

    def __init__(self, source: Source, ends_at: float) -> None:
        self.uri = source.uri
        self.is_cut = False
        self._source = source
        self._ends_at = ends_at

    def list(self) -> Listing:
        """As the source's own, as far as it came."""

        def scan() -> Generator[SourceObject, None, bool]:
            listing = self._source.list()
            yield from listing
            return listing.is_complete

        return Listing.scanned(self._in_time(scan()))

    def state(self) -> str | None:
        """As the source's own; None also when it takes too long to tell."""
        source = self._source
        if not isinstance(source, StatefulSource):
            return None

        def told() -> Generator[str | None, None, bool]:
            yield source.state()
            return True

        return next(self._in_time(told()), None)

    def fetch(self, obj: SourceObject, target: Path) -> None:
        """As the source itself."""
        self._source.fetch(obj, target)

    def _in_time(self, scan: Generator[T, None, bool]) -> Generator[T, None, bool]:
        reading = _Reading(scan)
        try:
            while (left := self._ends_at - time.monotonic()) > 0 and reading.waits(left):
                if not reading.found:
                    return reading.result()
                yield reading.found.popleft()
            self.is_cut = True
            return False
        finally:
            reading.is_over = True


class _Reading(Generic[T]):
    """A scan in a thread of its own. A call that hangs can not be ended: nobody waits for it, and
    the thread ends with it."""

    def __init__(self, scan: Generator[T, None, bool]) -> None:
        self.found: deque[T] = deque()
        self.is_over = False  # nobody takes any more
        self._scan = scan
        self._end: bool | BaseException | None = None
        self._news = Event()
        Thread(target=self._read, name="timed listing", daemon=True).start()

    def _read(self) -> None:
        try:
            while not self.is_over:
                if len(self.found) < _AHEAD:
                    self.found.append(next(self._scan))
                    self._news.set()
                else:
                    time.sleep(0.01)
            self._scan.close()
        except StopIteration as end:
            self._end = bool(end.value)
        except BaseException as error:  # raised where it is waited for
            self._end = error
        self._news.set()

    def waits(self, timeout_s: float) -> bool:
        """Wait until something is found or the end is reached; False when neither came in time."""
        if self.found:
            return True
        self._news.clear()
        if self.found or self._end is not None:
            return True
        return self._news.wait(timeout_s) and self.waits(timeout_s)

    def result(self) -> bool:
        """Whether the scan was complete, or what it raised."""
        if isinstance(self._end, BaseException):
            raise self._end
        return bool(self._end)
