"""Pieces of a document in reading order, and how they become text with spans. Pure.

A converter yields pieces; only here do they get offsets, so offsets are right by construction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from rag.model import Block, BlockKind

_GAP = "\n\n"


@dataclass(frozen=True, slots=True)
class Piece:
    """One block before it has a place: its text as it shall stand, its level if a heading."""

    kind: BlockKind
    text: str
    page: int | None = None
    level: int | None = None
    page_last: int | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """What a converter found in one file; `empty_pages` are pages that gave no text, `hidden` is
    how many characters of the pieces no reader sees."""

    pieces: tuple[Piece, ...]
    page_count: int | None = None
    title: str | None = None
    author: str | None = None
    created_at: str | None = None
    language: str | None = None
    empty_pages: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()
    parser: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    media_type: str | None = None
    hidden: int = 0


def heading(text: str, level: int, page: int | None = None) -> Piece:
    """A heading piece; levels outside 1 to 6 are moved inside."""
    return Piece(BlockKind.HEADING, " ".join(text.split()), page, min(6, max(1, level)))


def paragraph(text: str, page: int | None = None) -> Piece:
    """A paragraph piece."""
    return Piece(BlockKind.PARAGRAPH, text, page)


def join(pieces: Iterable[Piece], clean: Callable[[Piece], str]) -> tuple[str, tuple[Block, ...]]:
    """Text and blocks of `pieces`: each cleaned, empty ones left out, blank lines between."""
    parts: list[str] = []
    blocks: list[Block] = []
    offset = 0
    for piece in pieces:
        text = clean(piece).strip("\n").rstrip()
        if piece.kind is not BlockKind.CODE:
            text = text.strip()
        if not text.strip():
            continue
        if parts:
            offset += len(_GAP)
        last = piece.page if piece.page_last is None else piece.page_last
        blocks.append(Block(piece.kind, offset, offset + len(text), piece.page, last, piece.level))
        parts.append(text)
        offset += len(text)
    return _GAP.join(parts), tuple(blocks)
