"""Pictures of a document, set aside while it is parsed so that they can be described afterwards.
Runs in the child, which has no network: it writes small JPEGs, and marks in their places."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rag.parse.figures import IMAGE_MARK

_SIDE = 1024  # what vision models look at; a larger picture is made smaller
_QUALITY = 90
_MOST = 100  # set aside; how many are described is the worker's to say
_MARKED = re.compile(re.escape(IMAGE_MARK) + "\ue000(\\d+)\ue000")


@dataclass(slots=True)
class Shelf:
    """The pictures of one document: the file `folder/n` is the one marked n."""

    folder: Path
    min_side: int
    sizes: list[int] = field(default_factory=list)
    _seen: set[bytes] = field(default_factory=set)

    def put(self, image: Any) -> int | None:
        """Keep a picture; its number, or None when it is small, a repeat, or one too many."""
        if min(image.size) < self.min_side or len(self.sizes) >= _MOST:
            return None
        data = _jpeg(image)
        seen = hashlib.sha256(data).digest()
        if seen in self._seen:
            return None
        self._seen.add(seen)
        number = len(self.sizes)
        (self.folder / str(number)).write_bytes(data)
        self.sizes.append(len(data))
        return number


_SHELF: ContextVar[Shelf | None] = ContextVar("shelf", default=None)


@contextmanager
def set_aside(shelf: Shelf | None) -> Iterator[None]:
    """Pictures met within the block go to `shelf`; nowhere when it is None."""
    token = _SHELF.set(shelf)
    try:
        yield
    finally:
        _SHELF.reset(token)


def is_wanted() -> bool:
    """Whether pictures are set aside at all."""
    return _SHELF.get() is not None


def put(image: Any) -> int | None:
    """Set a picture aside; its number, None when it is not kept."""
    shelf = _SHELF.get()
    return None if shelf is None else shelf.put(image)


def mark(number: int) -> str:
    """The text that keeps the place of a picture until it is described."""
    return f"{IMAGE_MARK}\ue000{number}\ue000"


def marked(text: str) -> int | None:
    """The number of the picture whose place `text` keeps."""
    found = _MARKED.fullmatch(text)
    return int(found[1]) if found else None


def _jpeg(image: Any) -> bytes:
    small = image.convert("RGB")
    small.thumbnail((_SIDE, _SIDE))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()
