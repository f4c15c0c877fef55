"""The errors by which a parser child fails its document, each with its stable code."""

from __future__ import annotations

import json
from typing import NamedTuple

from rag.errors import PoisonError
from rag.parse.wire import BrokenFrame


class Cancelled(Exception):
    """Nobody waits for this document any more."""


def crashed(how: str, where: str = "") -> PoisonError:
    """The parser ended without a result."""
    return PoisonError(
        f"The parser failed on the document{where}: {how}; convert the file to another format, or "
        "report it with the file.",
        code="parser_crashed",
        how=how,
    )


def timed_out(wall_s: float, where: str) -> PoisonError:
    """The parser was killed at its wall limit."""
    return PoisonError(
        f"Parsing did not end within {wall_s:.0f} s{where}: split the document, or raise "
        "parse_wall_s (for one collection: in collection_limits).",
        code="parse_timeout",
        limit_s=wall_s,
    )


def out_of_memory(seen: int, limit: int, where: str) -> PoisonError:
    """The parser was killed at its memory limit."""
    return PoisonError(
        f"Parsing took {seen >> 20} MiB of the {limit >> 20} allowed{where}: split the document, "
        "or raise parse_memory_bytes (for one collection: in collection_limits).",
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


_LONGEST_REPORT = 200  # bytes
_SPARE_REPORTS = 1000  # beyond two for each page that a document may have


class Extent(NamedTuple):
    """How much of a document a child says there is to read, and the page it says it is at."""

    pages: int | None = None
    ocr_pages: int = 0
    page: int | None = None
    reports: int = 0

    def after(self, body: bytes, most: int) -> Extent:
        """What is known after one more progress report; no number above `most` is believed, and no
        page behind the last. Raises BrokenFrame, also when a child reports without end."""
        if len(body) > _LONGEST_REPORT or self.reports >= 2 * most + _SPARE_REPORTS:
            raise BrokenFrame("it reports more than it reads")
        value = read_json(body)
        pages = _count(value.get("pages"), most, self.pages)
        return Extent(
            pages,
            _count(value.get("ocr_pages"), most, self.ocr_pages) or 0,
            _count(value.get("page"), most if pages is None else pages, self.page),
            self.reports + 1,
        )

    @property
    def where(self) -> str:
        """The place for an error's message, empty where none was told."""
        return f" at page {self.page} of {self.pages}" if self.page and self.pages else ""


def _count(value: object, most: int, known: int | None) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return min(value, most)
    return known
