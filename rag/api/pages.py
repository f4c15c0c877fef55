"""Pictures of PDF pages for whoever reads a passage. No byte of a document is interpreted here:
a confined child of its own draws each page, and ends.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rag.errors import NotFoundError, PoisonError, PolicyError, TransientError, UnavailableError
from rag.model import SourceObject
from rag.parse.child_config import ChildConfig
from rag.parse.cleaning import CleaningConfig
from rag.parse.limits import MIB, ParseLimits
from rag.parse.page_image import PageImage, not_shown
from rag.parse.process import ChildProcess
from rag.ports import ParseJob, Source

_LIMITS = ParseLimits(
    wall_s=15.0, wall_per_page_s=0.0, wall_cap_s=20.0, memory_bytes=768 * MIB,
    temporary_bytes=256 * MIB, output_bytes=24 * MIB, recycle_after=1,
)  # fmt: skip
_AT_A_TIME = 2
_WAIT_S = 10.0
_KEPT_BYTES = 64 * MIB
_KEPT_S = 600.0  # a picture of an erased document is gone by then
_BLOCK = MIB


@dataclass(frozen=True, slots=True)
class Original:
    """The bytes that a served passage was read from: where they are and what they hash to."""

    source_uri: str
    object: SourceObject
    content_hash: bytes


class PageImages:
    """Draws pages, few at a time, and keeps the newest pictures in memory for a while."""

    def __init__(
        self, open_source: Callable[[str], Source], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._open_source = open_source
        self._kept = _Kept(clock)
        self._turns = threading.BoundedSemaphore(_AT_A_TIME)

    def image(self, original: Original, page: int, passage: str) -> PageImage:
        """The page with the passage marked. Raises ConflictError (`page_not_shown`),
        NotFoundError (`page_not_found`), TransientError."""
        key = hashlib.sha256(original.content_hash + f"\0{page}\0{passage}".encode()).digest()
        image = self._kept.find(key)
        if image is None:
            with self._turn():
                image = self._draw(original, page, passage)
            self._kept.add(key, image)
        return image

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._turns.acquire(timeout=_WAIT_S):
            raise UnavailableError("Too many pages are drawn now: try again.", code="overloaded")
        try:
            yield
        finally:
            self._turns.release()

    def _draw(self, original: Original, page: int, passage: str) -> PageImage:
        with tempfile.TemporaryDirectory(prefix="rag-page-") as folder:
            path = Path(folder) / "original"
            self._fetch(original, path)
            if _sha256(path) != original.content_hash:
                raise not_shown()
            return drawn(path, page, passage)

    def _fetch(self, original: Original, path: Path) -> None:
        try:
            self._open_source(original.source_uri).fetch(original.object, path)
        except UnavailableError:
            raise
        except (TransientError, NotFoundError, PolicyError) as exc:
            raise not_shown() from exc  # it is another one by now, or gone


def drawn(path: Path, page: int, passage: str) -> PageImage:
    """The page of one file, drawn by a confined child. Raises ConflictError (`page_not_shown`)
    when the file does not let itself be drawn within the limits."""

    def command(temporary: Path) -> list[str]:
        config = ChildConfig(_LIMITS, CleaningConfig(), temporary)
        return [sys.executable, "-P", "-m", "rag.parse.child", config.as_argument()]

    child = ChildProcess.start(command, _LIMITS, lambda: False)
    try:
        return child.page_image(ParseJob(0, path, "original.pdf"), page, passage, lambda: False)
    except PoisonError as exc:
        raise not_shown() from exc
    finally:
        child.end()


def _sha256(path: Path) -> bytes:
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            hasher.update(block)
    return hasher.digest()


class _Kept:
    """The newest pictures, bounded in bytes and age."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._images: OrderedDict[bytes, tuple[float, PageImage]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def find(self, key: bytes) -> PageImage | None:
        with self._lock:
            self._drop_old()
            found = self._images.get(key)
            return found[1] if found else None

    def add(self, key: bytes, image: PageImage) -> None:
        with self._lock:
            if key not in self._images:
                self._images[key] = (self._clock(), image)
                self._bytes += len(image.png)
            self._drop_old()

    def _drop_old(self) -> None:
        limit = self._clock() - _KEPT_S
        while self._images:
            key, (kept_at, image) = next(iter(self._images.items()))
            if kept_at >= limit and self._bytes <= _KEPT_BYTES:
                return
            del self._images[key]
            self._bytes -= len(image.png)
