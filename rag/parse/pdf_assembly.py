"""The pages of a PDF as pieces: order, paragraphs, headings, lists, tables, captions. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rag.model import BlockKind
from rag.parse.pdf_blocks import (
    BULLET,
    ENUMERATION,
    Line,
    PdfBlock,
    TableBlock,
    TextBlock,
    blocks_of,
)
from rag.parse.pdf_bullets import with_bullets
from rag.parse.pdf_columns import regions
from rag.parse.pdf_furniture import drop_furniture
from rag.parse.pdf_headings import Headings, headings_of
from rag.parse.pdf_lines import Segment, segments_of, sideways_lines
from rag.parse.pdf_page import Box, Page, Word, bounds
from rag.parse.pdf_source import Outline
from rag.parse.pdf_tables import Table, ruled_tables
from rag.parse.pdf_text import flow, vocabulary
from rag.parse.pieces import Piece
from rag.parse.tables import pipe_table

_CAPTION = re.compile(
    r"(?:fig(?:ure|\.)?|table|tab\.|abbildung|abb\.|tabelle|figura|tableau|listing|algorithm)"
    r"\s*[A-Z]?\d+(?:\.\d+)*\s*[.:|–—-]",  # noqa: RUF001
    re.IGNORECASE,
)
_MARGIN = 0.08
_OPEN_END = re.compile(r"[^.!?:;。！？؟\"”)\]]$")  # noqa: RUF001
_BULLETS = re.compile(r"^(?:(?:[•◦▪▫‣⁃●○■□◆◇►▶➢➤∙·*–—-]|\uf0b7|\uf0a7)\s*)+")  # noqa: RUF001


@dataclass(frozen=True, slots=True)
class _TableItem:
    """A ruled table standing in for the segments it took, while regions are ordered."""

    table: Table

    @property
    def box(self) -> Box:
        return self.table.box


_Item = Segment | _TableItem


def assemble(pages: Sequence[Page], outline: Sequence[Outline]) -> tuple[Piece, ...]:
    """The pieces of a document in reading order, running heads and page numbers left out."""
    pages = with_bullets(pages)
    lines = drop_furniture(pages, [segments_of(page.words) for page in pages])
    blocks = [b for page, segments in zip(pages, lines, strict=True) for b in _page(page, segments)]
    texts = [line.text for b in blocks if isinstance(b, TextBlock) for line in b.lines]
    known = vocabulary(texts)
    styles = headings_of(blocks, outline, [word for page in pages for word in page.words])
    pieces = (_piece(block, styles, known) for block in blocks)
    return tuple(_rejoin([p for p in pieces if p.text], known))


def _page(page: Page, segments: list[Segment]) -> Iterator[PdfBlock]:
    tables = ruled_tables(page, segments)
    free = [s for s in segments if not any(t.box.holds(s.box, 1.0) for t in tables)]
    items: list[_Item] = [*free, *(_TableItem(t) for t in tables)]
    for region in regions(items, _is_prose):
        waiting: list[Segment] = []
        for item in region:
            if isinstance(item, _TableItem):
                yield from blocks_of(waiting, page.number)
                waiting = []
                yield TableBlock(item.table, page.number)
            else:
                waiting.append(item)
        yield from blocks_of(waiting, page.number)
    loose = [w for w in page.sideways if not any(t.box.holds(w.box) for t in tables)]
    yield from _sideways(page, [w for w in loose if not _is_margin(page, w)])


def _is_margin(page: Page, word: Word) -> bool:
    """True for a stamp along the page's edge, as archives print it."""
    return word.box.x1 < _MARGIN * page.width or word.box.x0 > (1 - _MARGIN) * page.width


def _sideways(page: Page, words: list[Word]) -> Iterator[PdfBlock]:
    """Lines on their side come last, as one block."""
    if words:
        box, size = bounds([w.box for w in words]), words[0].size
        lines = [Line(text, box, size, False, False) for text in sideways_lines(words)]
        yield TextBlock(tuple(lines), page.number)


def _is_prose(items: Sequence[_Item]) -> bool:
    """True when most characters stand in segments of several words."""
    segments = [item for item in items if isinstance(item, Segment)]
    total = sum(len(s.text) for s in segments)
    running = sum(len(s.text) for s in segments if _runs(s.text) and len(s.words) >= 2)
    return bool(segments) and running > 0.55 * total


def _runs(text: str) -> bool:
    """True for what a column of text is made of, not a table's cell: a line, or a list's item."""
    words = text.count(" ") + 1
    is_item = BULLET.match(text) or ENUMERATION.match(text)
    return bool(is_item) or (len(text) >= 22 and words >= 3)


def _piece(block: PdfBlock, styles: Headings, known: frozenset[str]) -> Piece:
    if isinstance(block, TableBlock):
        return Piece(BlockKind.TABLE, pipe_table(block.table.rows), block.page)
    if all(line.is_mono for line in block.lines) and len(block.text) > 3:
        return Piece(BlockKind.CODE, _code(block.lines), block.page)
    text = flow([line.text for line in block.lines], known)
    if _CAPTION.match(text):
        return Piece(BlockKind.CAPTION, text, block.page)
    level = styles.level(block)
    if level is not None:
        return Piece(BlockKind.HEADING, text, block.page, level)
    if BULLET.match(text):
        return Piece(BlockKind.LIST_ITEM, "- " + _BULLETS.sub("", text), block.page)
    if ENUMERATION.match(text):
        return Piece(BlockKind.LIST_ITEM, text, block.page)
    return Piece(BlockKind.PARAGRAPH, text, block.page)


def _code(lines: Sequence[Line]) -> str:
    """Lines of code with their indentation, as far as the boxes tell it."""
    left = min(line.box.x0 for line in lines)
    longest = max(lines, key=lambda line: len(line.text))
    width = max(1.0, longest.box.width / max(1, len(longest.text)))
    return "\n".join(" " * round((line.box.x0 - left) / width) + line.text for line in lines)


def _rejoin(pieces: Sequence[Piece], known: frozenset[str]) -> Iterator[Piece]:
    """Paragraphs that a column's or page's end cut in two are one again."""
    last: Piece | None = None
    for piece in pieces:
        if last is not None and _goes_on(last, piece):
            last = replace(last, text=flow([last.text, piece.text], known), page_last=piece.page)
            continue
        if last is not None:
            yield last
        last = piece
    if last is not None:
        yield last


def _goes_on(last: Piece, piece: Piece) -> bool:
    running = last.kind in (BlockKind.PARAGRAPH, BlockKind.LIST_ITEM)
    if not running or piece.kind is not BlockKind.PARAGRAPH or len(last.text) < 40:
        return False
    return bool(_OPEN_END.search(last.text)) and piece.text[:1].islower()
