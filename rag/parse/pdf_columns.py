"""Reading order over columns: which segments belong together, and what is read first. Pure.

A gutter is a white stripe with text on both sides. Lines that cross it (a title above two columns,
a wide table) part the page into bands; in each band the left side is read before the right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeVar

from rag.parse.pdf_page import Box, bounds

_MIN_LINES = 3
_MAX_CROSSING = 0.5
_MAX_DEPTH = 6


class Placed(Protocol):
    """Anything with a box."""

    @property
    def box(self) -> Box: ...


T = TypeVar("T", bound=Placed)


class Gutter(NamedTuple):
    """A white stripe between two columns."""

    x0: float
    x1: float

    @property
    def x(self) -> float:
        return (self.x0 + self.x1) / 2


def regions(items: Sequence[T], is_prose: Callable[[Sequence[T]], bool]) -> list[list[T]]:
    """The items parted into regions in reading order; within a region they run top to bottom.

    `is_prose` says whether one side of a gutter may be a text column; a table's columns are not,
    and stay together."""
    return _regions(list(items), is_prose, _MAX_DEPTH)


def _regions(items: list[T], is_prose: Callable[[Sequence[T]], bool], depth: int) -> list[list[T]]:
    if depth == 0 or len(items) < 2 * _MIN_LINES:
        return [_sorted(items)] if items else []
    gutter = find_gutter(items, is_prose)
    if gutter is None:
        return [_sorted(items)]
    result: list[list[T]] = []
    for band, is_crossing in _bands(items, gutter):
        if is_crossing:
            result += _regions(band, is_prose, depth - 1)
            continue
        left = [item for item in band if item.box.x1 <= gutter.x1]
        right = [item for item in band if item.box.x1 > gutter.x1]
        for side in (left, right):
            result += _regions(side, is_prose, depth - 1)
    return result


def _sorted(items: list[T]) -> list[T]:
    return sorted(items, key=lambda item: (item.box.middle, item.box.x0))


def find_gutter(items: Sequence[T], is_prose: Callable[[Sequence[T]], bool]) -> Gutter | None:
    """The stripe that parts most lines with fewest crossing it; None when there is none."""
    best: tuple[float, Gutter] | None = None
    for gutter in _candidates(items):
        left = [i for i in items if i.box.x1 <= gutter.x + 0.5]
        right = [i for i in items if i.box.x0 >= gutter.x - 0.5]
        crossing = len(items) - len(left) - len(right)
        if min(len(left), len(right)) < _MIN_LINES or crossing > _MAX_CROSSING * len(items):
            continue
        if not (_overlap(left, right) and is_prose(left) and is_prose(right)):
            continue
        score = min(len(left), len(right)) - 0.7 * crossing + 0.1 * (gutter.x1 - gutter.x0)
        if best is None or score > best[0]:
            best = (score, gutter)
    return best[1] if best and best[0] > 0 else None


def _candidates(items: Sequence[T]) -> list[Gutter]:
    """Stripes that start where some segments end and end where others start."""
    heights = sorted(item.box.height for item in items)
    narrowest = 0.7 * heights[len(heights) // 2]
    starts = _frequent([item.box.x0 for item in items])
    found = []
    for start in starts:
        ends = [item.box.x1 for item in items if item.box.x1 < start - 0.5 * narrowest]
        if ends:
            # the right edge of the left column: nearly all that ends before `start`
            edge = sorted(ends)[min(len(ends) - 1, int(0.98 * len(ends)))]
            if start - edge >= narrowest:
                found.append(Gutter(edge, start))
    return found


def _frequent(values: list[float]) -> list[float]:
    """Left edges that three or more segments share, within 3 points; the leftmost of each."""
    result: list[float] = []
    ordered = sorted(values)
    index = 0
    while index < len(ordered):
        end = index
        while end < len(ordered) and ordered[end] - ordered[index] <= 3.0:
            end += 1
        if end - index >= _MIN_LINES:
            result.append(ordered[index])
        index = max(end, index + 1)
    return result


def _overlap(left: Sequence[T], right: Sequence[T]) -> bool:
    """True when both sides share a good part of the height of the shorter one."""
    a, b = bounds([i.box for i in left]), bounds([i.box for i in right])
    shared = min(a.y1, b.y1) - max(a.y0, b.y0)
    return shared > 0.3 * min(a.height, b.height)


def _bands(items: list[T], gutter: Gutter) -> list[tuple[list[T], bool]]:
    """Runs from top to bottom of items that cross the gutter, and of items that do not."""
    bands: list[tuple[list[T], bool]] = []
    for item in _sorted(items):
        crosses = item.box.x0 < gutter.x - 0.5 and item.box.x1 > gutter.x + 0.5
        if bands and bands[-1][1] == crosses:
            bands[-1][0].append(item)
        else:
            bands.append(([item], crosses))
    return bands
