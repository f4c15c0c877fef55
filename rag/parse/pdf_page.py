"""What a PDF page shows, as plain values: words with boxes and fonts, ruling lines, images. Pure.

Coordinates are in points from the top left corner, y growing downwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

_MANY_STROKES = 60  # letters drawn as outlines; a ruled empty form has fewer


class Box(NamedTuple):
    """A rectangle; x0 <= x1 and y0 <= y1."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def width(self) -> float:
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        return self.y1 - self.y0

    @property
    def middle(self) -> float:
        """The height of the middle line."""
        return (self.y0 + self.y1) / 2

    def joined(self, other: Box) -> Box:
        """The smallest box around both."""
        return Box(
            min(self.x0, other.x0),
            min(self.y0, other.y0),
            max(self.x1, other.x1),
            max(self.y1, other.y1),
        )

    def holds(self, other: Box, slack: float = 0.0) -> bool:
        """True when the centre of `other` lies inside, give or take `slack`."""
        x, y = (other.x0 + other.x1) / 2, other.middle
        inside = self.x0 - slack <= x <= self.x1 + slack
        return inside and self.y0 - slack <= y <= self.y1 + slack


@dataclass(frozen=True, slots=True)
class Word:
    """One word as the file places it. `size` is the height of its font's box; `is_hidden` marks
    words that are drawn so that no reader sees them and that are no OCR layer. `turn` is 0 for an
    upright word, 1 for one on its side that is read upwards, -1 for one read downwards."""

    text: str
    box: Box
    size: float
    font: str = ""
    is_bold: bool = False
    is_mono: bool = False
    is_italic: bool = False
    is_hidden: bool = False
    turn: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """One page: words in the file's own order, those on their side, horizontal and vertical rules,
    image boxes, and how many shapes are drawn."""

    number: int
    width: float
    height: float
    words: tuple[Word, ...]
    sideways: tuple[Word, ...] = ()
    across: tuple[Box, ...] = ()
    upright: tuple[Box, ...] = ()
    images: tuple[Box, ...] = ()
    drawn: int = 0

    @property
    def is_scan(self) -> bool:
        """True when the page shows something and has no text: an image, or many strokes."""
        return not (self.words or self.sideways) and bool(
            self.images or self.drawn >= _MANY_STROKES
        )


def bounds(boxes: list[Box]) -> Box:
    """The smallest box around all of `boxes`, of which there is at least one."""
    return Box(
        min(b.x0 for b in boxes),
        min(b.y0 for b in boxes),
        max(b.x1 for b in boxes),
        max(b.y1 for b in boxes),
    )
