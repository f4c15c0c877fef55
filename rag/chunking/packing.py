"""Cuts an outline into spans that keep to a length, at the best border within reach.

Borders, best first: before a heading, between blocks, between sentences (rows in a table, lines
in code), between words, between characters. A heading is never parted from the text under it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from rag.chunking.borders import (
    first_sentence,
    first_word,
    last_line,
    last_sentence,
    last_word,
    skip_space,
    trim_end,
    whole_character,
)
from rag.chunking.context import Contexts
from rag.chunking.outline import Outline, Piece
from rag.chunking.ruler import Ruler
from rag.model import BlockKind


@dataclass(frozen=True, slots=True)
class Limits:
    """How long spans are: `units` in the strategy's unit, `window` in tokens with the context. A
    border in the first half is taken only for want of a better one, unless `borders_first`."""

    window: int
    units: int
    overlap: int
    borders_first: bool = False


class _Room(NamedTuple):
    """What a chunk's text may take."""

    units: int
    tokens: int

    def part(self, divisor: int) -> _Room:
        return _Room(self.units // divisor, self.tokens // divisor)


class Packer:
    """The spans of one document's chunks, in order. Pure: same input, same spans."""

    def __init__(self, outline: Outline, ruler: Ruler, contexts: Contexts, limits: Limits) -> None:
        self._outline = outline
        self._text = outline.text
        self._ruler = ruler
        self._contexts = contexts
        self._limits = limits

    def spans(self) -> Iterator[tuple[int, int]]:
        """Spans that cover all text but white space; starts strictly increase."""
        for first, stop in self._outline.groups:
            yield from self._group(first, stop)

    def _group(self, first: int, stop: int) -> Iterator[tuple[int, int]]:
        end = self._outline.pieces[stop - 1].end
        start = floor = self._outline.pieces[first].start
        while floor < end:
            room = self._room(start, stop)
            cut = self._cut(start, floor, end, room)
            if cut is None:  # the overlap leaves nothing for new text
                start = floor
                continue
            yield start, trim_end(self._text, start, cut)
            floor = skip_space(self._text, cut, end)
            if floor < end:
                start = self._next_start(start, cut, floor, room)

    def _room(self, start: int, stop: int) -> _Room:
        """What the text of a chunk from `start` may take, its context taken off. A chunk may end
        within the headings it begins with, so each of their paths counts."""
        context = 0
        for piece in self._outline.pieces[self._outline.at(start) : stop]:
            context = max(context, self._contexts.cost(start, piece.path))
            if not piece.is_heading:
                break
        return _Room(self._limits.units, max(self._limits.window - context, 1))

    def _cut(self, start: int, floor: int, end: int, room: _Room) -> int | None:
        """Where the chunk from `start` ends, beyond `floor`; None when nothing there fits.

        Positions inside words are estimates: what they give is counted, and cut shorter."""
        tokens = room.tokens
        cut = self._choose(start, floor, end, room)
        while (excess := self._ruler.tokens(start, cut) - room.tokens) > 0 and tokens > 1:
            tokens = max(tokens - excess, 1)
            cut = self._choose(start, floor, end, _Room(room.units, tokens))
        while excess > 0 and cut > start + 1:
            cut = whole_character(self._text, start, start + (cut - start) // 2)
            excess = self._ruler.tokens(start, cut) - room.tokens
        return cut if cut > floor else None

    def _choose(self, start: int, floor: int, end: int, room: _Room) -> int:
        reach = self._ruler.reach(start, *room)
        if reach >= end:
            return end
        if reach <= floor:
            return whole_character(self._text, start, max(reach, start + 1))
        half = max(self._ruler.reach(start, *room.part(2)), floor)
        # a last chunk too short to mean anything is avoided where a border allows it
        spare = min(reach, max(self._ruler.back(end, *room.part(4)), half))
        for limit in (spare, reach):
            border = self._border(start, floor, half, self._snapped(limit), room)
            if border is not None:
                return border
        return self._plain_cut(floor, half, self._snapped(reach))

    def _border(self, start: int, floor: int, half: int, limit: int, room: _Room) -> int | None:
        """The best border of blocks, sentences, rows or lines up to `limit`, if any."""
        border = self._block_border(floor if self._limits.borders_first else half, limit)
        if border is not None:
            return border
        quarter = max(self._ruler.reach(start, *room.part(4)), floor)
        piece = self._outline.pieces[self._outline.at(limit - 1)]
        if piece.is_heading:
            return self._block_border(floor, limit)
        if piece.is_table:
            return self._row_border(piece, floor, quarter, limit)
        find = last_line if piece.kind is BlockKind.CODE else last_sentence
        border = find(self._text, max(half, piece.start), limit)
        return border or self._early_border(piece, quarter, half)

    def _plain_cut(self, floor: int, half: int, limit: int) -> int:
        """Between two words, or where a single one does not fit, between two characters."""
        piece = self._outline.pieces[self._outline.at(limit - 1)]
        begin = piece.start
        if piece.is_table and begin > floor:  # whole rows matter more than the heading above
            return begin
        return (
            last_word(self._text, max(half, begin), limit)
            or last_word(self._text, max(floor, begin), limit)
            or self._block_border(floor, limit)
            or last_word(self._text, floor, limit)
            or whole_character(self._text, floor, limit)
        )

    def _snapped(self, position: int) -> int:
        """A position in the white space between blocks moves to the next block."""
        index = self._outline.at(position)
        if position >= self._outline.pieces[index].end and index + 1 < len(self._outline.pieces):
            return self._outline.pieces[index + 1].start
        return position

    def _block_border(self, low: int, limit: int) -> int | None:
        """The best start of a block in (low, limit]: the highest heading, else the last block."""
        best: int | None = None
        best_depth = 99
        pieces = self._outline.pieces
        index = self._outline.at(limit)
        while index > 0 and pieces[index].start > low:
            piece = pieces[index]
            depth = len(piece.path) if piece.is_heading else 98
            if not pieces[index - 1].is_heading and depth < best_depth:
                best, best_depth = piece.start, depth
            index -= 1
        return best

    def _early_border(self, piece: Piece, quarter: int, half: int) -> int | None:
        """A border before the half, when the sentence after it fits in a chunk of its own."""
        border = last_sentence(self._text, max(quarter, piece.start), half)
        border = border or self._block_border(quarter, half)
        if border is None:
            return None
        following = first_sentence(self._text, border + 1, piece.end) or piece.end
        return border if self._fits(border, following) else None

    def _row_border(self, piece: Piece, floor: int, quarter: int, limit: int) -> int | None:
        """Before a table that fits in a chunk of its own, else after its last row in reach."""
        before = self._block_border(quarter, piece.start)
        if before is not None and self._fits(before, piece.end):
            return before
        row = last_line(self._text, max(floor, piece.start, piece.head_end + 1), limit)
        return row or self._block_border(floor, piece.start)

    def _fits(self, start: int, end: int) -> bool:
        path = self._outline.pieces[self._outline.at(start)].path
        room = self._limits.window - self._contexts.cost(start, path)
        return (
            self._ruler.tokens(start, end) <= room
            and self._ruler.units(start, end) <= self._limits.units
        )

    def _next_start(self, start: int, cut: int, floor: int, room: _Room) -> int:
        """A sentence or word before `floor` that the next chunk repeats from, or `floor`."""
        half = room.part(2)
        overlap = min(self._limits.overlap, half.units)
        if overlap < 1 or half.tokens < 1:
            return floor
        low = max(self._ruler.back(cut, overlap, half.tokens), start + 1)
        low = max(low, self._run_start(cut, floor, low))
        found = self._natural_start(low, cut)
        if found is None or self._ruler.units(found, cut) > overlap:
            return floor
        return found

    def _natural_start(self, low: int, cut: int) -> int | None:
        pieces = self._outline.pieces
        index = self._outline.at(cut - 1)
        borders = []
        while index >= 0 and pieces[index].start >= low:
            borders.append(pieces[index].start)
            index -= 1
        sentence = first_sentence(self._text, low, cut)
        if sentence is not None:
            borders.append(sentence)
        return min(borders) if borders else first_word(self._text, low, cut)

    def _run_start(self, cut: int, floor: int, low: int) -> int:
        """Where the plain text that leads up to `cut` begins; `cut` if none does."""
        pieces = self._outline.pieces
        if _is_barrier(pieces[self._outline.at(floor)]):
            return cut
        index = self._outline.at(cut - 1)
        run = cut
        while index >= 0 and not _is_barrier(pieces[index]):
            run = pieces[index].start
            if run <= low:
                break
            index -= 1
        return run


def _is_barrier(piece: Piece) -> bool:
    return piece.is_heading or piece.is_table
