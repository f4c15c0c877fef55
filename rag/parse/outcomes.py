"""The errors by which a parser child fails its document, each with its stable code."""

from __future__ import annotations

import json
from typing import NamedTuple

from rag.errors import PoisonError
from rag.parse.wire import BrokenFrame


class Cancelled(Exception):
    """Nobody waits for this document any more."""


def crashed(how: str) -> PoisonError:
    """The parser ended without a result."""
    return PoisonError(
        f"The parser failed on the document: {how}; convert the file to another format, or report "
        "it with the file.",
        code="parser_crashed",
        how=how,
    )


def timed_out(wall_s: float) -> PoisonError:
    """The parser was killed at its wall limit."""
    return PoisonError(
        f"Parsing did not end within {wall_s:.0f} s: split the document, or raise "
        "parse_wall_s (for one collection: in collection_limits).",
        code="parse_timeout",
        limit_s=wall_s,
    )


def out_of_memory(seen: int, limit: int) -> PoisonError:
    """The parser was killed at its memory limit."""
    return PoisonError(
        f"Parsing took {seen >> 20} MiB of the {limit >> 20} allowed: split the document, or raise "
        "parse_memory_bytes (for one collection: in collection_limits).",
        code="parse_memory",
        limit=limit,
        seen=seen,
    )


def read_json(body: bytes) -> dict[str, object]:
    """A JSON object of the protocol. Raises BrokenFrame."""
    try:
        value = json.loads(body)
    except ValueError as exc:
        raise BrokenFrame("not JSON") from exc
    if not isinstance(value, dict):
        raise BrokenFrame("not an object")
    return value


class Extent(NamedTuple):
    """How much of a document a child says there is to read."""

    pages: int | None = None
    ocr_pages: int = 0

    def after(self, body: bytes, most: int) -> Extent:
        """What is known after one more progress report; no number above `most` is believed.
        Raises BrokenFrame."""
        value = read_json(body)
        pages, ocr_pages = (_count(value.get(name), most) for name in self._fields)
        return Extent(
            self.pages if pages is None else pages,
            self.ocr_pages if ocr_pages is None else ocr_pages,
        )


def _count(value: object, most: int) -> int | None:
    return min(value, most) if isinstance(value, int) and value >= 0 else None
