"""The errors by which a parser child fails its document, each with its stable code."""

from __future__ import annotations

import json

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
        f"Parsing did not end within {wall_s:.0f} s: split the document, or raise the parser's "
        "time limit.",
        code="parse_timeout",
        limit_s=wall_s,
    )


def out_of_memory(seen: int, limit: int) -> PoisonError:
    """The parser was killed at its memory limit."""
    return PoisonError(
        f"Parsing took {seen >> 20} MiB of the {limit >> 20} allowed: split the document, or raise "
        "the parser's memory limit.",
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


def pages_of(body: bytes, known: int | None, most: int) -> int | None:
    """The page count a progress report names, at most `most`; else what was known."""
    pages = read_json(body).get("pages")
    return min(pages, most) if isinstance(pages, int) and pages >= 0 else known
