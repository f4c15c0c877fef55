"""A parsed document as the chunker sees it: pieces of text, each under its path of headings."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rag.chunking.borders import skip_space, trim_end
from rag.model import Block, BlockKind, ParsedDocument

_BLANK_LINE = re.compile(r"\n[^\S\n]*\n\s*")
_SPACES = re.compile(r"[ \t\r\n]+")
_HEAD = re.compile(r"\|[^\n]*\n[^\S\n]*(?:\|[ \t]*)?:?-[-:| \t]*(?=\n|$)")


class Piece(NamedTuple):
    """A block without the white space around it. `head_end` is set on tables with a head: where
    the head row and the line of dashes under it end."""

    kind: BlockKind
    start: int
    end: int
    path: tuple[str, ...]
    page_first: int | None = None
    page_last: int | None = None
    head_end: int = 0

    @property
    def is_heading(self) -> bool:
        return self.kind is BlockKind.HEADING

    @property
    def is_table(self) -> bool:
        return self.kind is BlockKind.TABLE


@dataclass(frozen=True, slots=True)
class Outline:
    """All pieces of a document in order. Between pieces stands white space only. `groups` are
    half-open ranges of pieces that no chunk may leave."""

    text: str
    pieces: tuple[Piece, ...]
    starts: tuple[int, ...]
    groups: tuple[tuple[int, int], ...]

    def at(self, position: int) -> int:
        """Index of the last piece that starts at or before `position`."""
        return max(bisect_right(self.starts, position) - 1, 0)

    def of(self, start: int, end: int) -> tuple[Piece, ...]:
        """The pieces that the span touches."""
        return self.pieces[self.at(start) : self.at(end - 1) + 1]


def shared_path(pieces: Sequence[Piece]) -> tuple[str, ...]:
    """The headings that every character of the pieces stands under."""
    bodies = [piece.path for piece in pieces if not piece.is_heading]
    return _common(bodies or [piece.path for piece in pieces])


def page_range(pieces: Sequence[Piece]) -> tuple[int | None, int | None]:
    """First and last page of the pieces."""
    firsts = [p.page_first for p in pieces if p.page_first is not None]
    lasts = [p.page_last for p in pieces if p.page_last is not None]
    return min(firsts, default=None), max(lasts, default=None)


def outline(document: ParsedDocument, *, every_heading: bool) -> Outline:
    """The document in pieces; a group begins at each top-level heading, or at every heading."""
    levels = [_level(b) for b in document.blocks if b.kind is BlockKind.HEADING]
    deepest = 7 if every_heading else min(levels, default=0)
    pieces: list[Piece] = []
    starts_group: list[bool] = []
    stack: list[tuple[int, str]] = []
    for block in _all_text(document):
        is_border = False
        if block.kind is BlockKind.HEADING:
            is_border = _level(block) <= deepest
            while stack and stack[-1][0] >= _level(block):
                stack.pop()
            stack.append((_level(block), one_line(document.text[block.start : block.end])))
        pieces.append(_piece(document.text, block, tuple(name for _, name in stack)))
        starts_group.append(is_border)
    return Outline(
        document.text,
        tuple(pieces),
        tuple(piece.start for piece in pieces),
        tuple(_groups(pieces, starts_group)),
    )


def one_line(text: str) -> str:
    """`text` on one line. Only white space that every tokenizer splits at is touched."""
    return _SPACES.sub(" ", text).strip()


def _level(block: Block) -> int:
    return block.level or 1


def _piece(text: str, block: Block, path: tuple[str, ...]) -> Piece:
    head = _HEAD.match(text, block.start, block.end) if block.kind is BlockKind.TABLE else None
    head_end = head.end() if head else 0
    return Piece(
        block.kind, block.start, block.end, path, block.page_first, block.page_last, head_end
    )


def _all_text(document: ParsedDocument) -> Iterator[Block]:
    """Every block, trimmed, and a paragraph for any text that no block claims."""
    position = 0
    for block in document.blocks:
        start = max(block.start, position)
        end = min(block.end, len(document.text))
        if start >= end:
            continue
        yield from _unclaimed(document.text, position, start)
        start = skip_space(document.text, start, end)
        trimmed = trim_end(document.text, start, end)
        if start < trimmed:
            yield Block(block.kind, start, trimmed, block.page_first, block.page_last, block.level)
        position = end
    yield from _unclaimed(document.text, position, len(document.text))


def _unclaimed(text: str, start: int, end: int) -> Iterator[Block]:
    start = skip_space(text, start, end)
    while start < end:
        blank = _BLANK_LINE.search(text, start, end)
        stop = blank.start() if blank else end
        yield Block(BlockKind.PARAGRAPH, start, trim_end(text, start, stop))
        start = skip_space(text, stop, end)


def _groups(pieces: list[Piece], starts_group: list[bool]) -> Iterator[tuple[int, int]]:
    """Ranges between borders. Headings without text of their own join what follows them."""
    first, has_body = 0, False
    for index, piece in enumerate(pieces):
        if starts_group[index] and has_body:
            yield first, index
            first, has_body = index, False
        has_body = has_body or not piece.is_heading
    if first < len(pieces):
        yield first, len(pieces)


def _common(paths: list[tuple[str, ...]]) -> tuple[str, ...]:
    shared = paths[0]
    for path in paths[1:]:
        if path is shared or path == shared:
            continue
        length = 0
        for mine, other in zip(shared, path, strict=False):
            if mine != other:
                break
            length += 1
        shared = shared[:length]
    return shared
