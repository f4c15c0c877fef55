"""The lines of a ruled table: which cell a place lies in, merged cells taken as one. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from rag.parse.pdf_page import Box

_NEAR = 3.0  # points between a rule and the line of the grid it belongs to


class Grid:
    """A frame with its lines. A line counts only where a rule is drawn: where none parts two
    cells, they are one, and what stands in it belongs to the first."""

    def __init__(
        self,
        box: Box,
        xs: list[float],
        ys: list[float],
        upright: Sequence[Box],
        across: Sequence[Box],
    ) -> None:
        self.box, self.xs, self.ys = box, xs, ys
        inside = [rule for rule in upright if box.holds(rule, _NEAR)]
        self._upright = {i: _near([(r.x0 + r.x1) / 2 for r in inside], x) for i, x in enumerate(xs)}
        self._rules = inside
        flat = [rule for rule in across if box.holds(rule, _NEAR)]
        self._across = {i: _near([r.middle for r in flat], y) for i, y in enumerate(ys)}
        self._flat = flat

    def cell(self, place: Box) -> tuple[int, int]:
        """Row and column of the first cell of the merged one that holds the middle of `place`."""
        x, y = (place.x0 + place.x1) / 2, place.middle
        column, row = slot(self.xs, x), slot(self.ys, y)
        while column > 0 and not self._is_parted_at_x(column, y):
            column -= 1
        while row > 0 and not self._is_parted_at_y(row, x):
            row -= 1
        return row, column

    def _is_parted_at_x(self, line: int, y: float) -> bool:
        rules = (self._rules[i] for i in self._upright[line])
        return any(rule.y0 - _NEAR <= y <= rule.y1 + _NEAR for rule in rules)

    def _is_parted_at_y(self, line: int, x: float) -> bool:
        rules = (self._flat[i] for i in self._across[line])
        return any(rule.x0 - _NEAR <= x <= rule.x1 + _NEAR for rule in rules)


def slot(edges: Sequence[float], value: float) -> int:
    """The interval of `edges` that `value` lies in; the first or last one outside them."""
    for index in range(len(edges) - 2):
        if value < edges[index + 1]:
            return index
    return len(edges) - 2


def _near(values: Sequence[float], line: float) -> list[int]:
    return [index for index, value in enumerate(values) if abs(value - line) <= _NEAR]
