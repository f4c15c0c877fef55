"""Running heads, footers and page numbers: what stands at the edge of page after page. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from rag.parse.pdf_lines import Segment
from rag.parse.pdf_page import Page
from rag.parse.pdf_tables import rows_of

_EDGE = 0.135  # of the page's height
_DIGITS = re.compile(r"\d+|\b[ivxlc]{1,6}\b")
_PAGE_NUMBER = re.compile(
    r"[-–—(\[|]?\s*(?:page\s*|seite\s*|p\.\s*)?(?:\d{1,4}|[ivxlc]{1,6})"  # noqa: RUF001
    r"(?:\s*(?:/|of|von|de)\s*\d{1,4})?\s*[-–—)\]|]?",  # noqa: RUF001
    re.IGNORECASE,
)


def drop_furniture(pages: Sequence[Page], lines: Sequence[list[Segment]]) -> list[list[Segment]]:
    """The segments of each page without those that repeat at the edges, and page numbers.

    A line is furniture when its text (numbers aside) stands in the same edge zone of enough other
    pages; one page alone loses only a bare page number."""
    seen: Counter[tuple[str, str]] = Counter()
    for page, segments in zip(pages, lines, strict=True):
        seen.update({key for s in segments if (key := _key(page, s))})
    needed = max(2, min(4, len(pages) // 3))
    result = []
    for page, segments in zip(pages, lines, strict=True):
        edge = _outermost(page, segments)
        kept = []
        for segment in segments:
            key = _key(page, segment)
            repeats = key is not None and seen[key] >= needed and len(pages) > 1
            if not repeats and segment not in edge:
                kept.append(segment)
        result.append(kept)
    return result


def _key(page: Page, segment: Segment) -> tuple[str, str] | None:
    if segment.box.y1 < _EDGE * page.height:
        zone = "top"
    elif segment.box.y0 > (1 - _EDGE) * page.height:
        zone = "bottom"
    else:
        return None
    shape = _DIGITS.sub("#", segment.text.lower())
    return zone, " ".join(shape.split())


def _is_page_number(page: Page, segment: Segment) -> bool:
    at_edge = _key(page, segment) is not None
    return at_edge and _PAGE_NUMBER.fullmatch(segment.text.strip()) is not None


def _outermost(page: Page, segments: list[Segment]) -> list[Segment]:
    """The topmost and the bottommost line where it holds a page number and stands apart."""
    rows = rows_of(segments)
    found: list[Segment] = []
    for row, neighbour in ((rows[:1], rows[1:2]), (rows[-1:], rows[-2:-1])):
        if row and any(_is_page_number(page, s) for s in row[0]) and len(row[0]) <= 3:
            near = (
                min((_distance(row[0][0], s) for s in neighbour[0]), default=99.0)
                if neighbour
                else 99.0
            )
            if len(row[0]) == 1 or near > 0.6 * row[0][0].size:
                found += row[0]
    return found


def _distance(a: Segment, b: Segment) -> float:
    return max(a.box.y0 - b.box.y1, b.box.y0 - a.box.y1)
