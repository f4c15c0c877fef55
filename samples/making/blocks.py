"""A source file as typed blocks: headings, paragraphs, lists, tables, notes, bars, breaks.

The sources are a small part of Markdown, with three additions: a ``Table:`` line before a table is
its caption (``Tableau:`` in French), ``Bars:`` starts a bar chart, and ``!page`` or ``!frame``
on a line of its own moves on to the next page or column frame.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Heading:
    """A heading; level 1 is the highest inside a document."""

    level: int
    text: str


@dataclass(frozen=True)
class Paragraph:
    """Running text; ``**bold**`` is the only markup in it."""

    text: str


@dataclass(frozen=True)
class Items:
    """A bulleted or numbered list."""

    entries: tuple[str, ...]
    ordered: bool


@dataclass(frozen=True)
class Table:
    """A table whose first row is its header."""

    caption: str
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Note:
    """A call-out in a page, the speaker notes of a slide."""

    text: str


@dataclass(frozen=True)
class Bars:
    """A bar chart: one label and one value for each bar."""

    caption: str
    values: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Break:
    """A jump: ``page`` or ``frame``."""

    kind: str


Block = Heading | Paragraph | Items | Table | Note | Bars | Break


@dataclass(frozen=True)
class Source:
    """One source file: its front matter and its blocks."""

    meta: dict[str, str]
    blocks: tuple[Block, ...]


_ITEM = re.compile(r"(?:[-*]|\d+\.) +")
_HEADING = re.compile(r"(#+) +(.+)")
_CAPTION = re.compile(r"(?:Table|Tableau|Bars): *")
_RULE_ROW = re.compile(r"[|\-: ]+")


def read_source(path: Path) -> Source:
    """Read one source file."""
    _, front, body = path.read_text(encoding="utf-8").split("---\n", 2)
    meta = dict(line.split(": ", 1) for line in front.splitlines() if line)
    chunks = re.split(r"\n\s*\n", body.strip())
    return Source(meta, tuple(_block(chunk.splitlines()) for chunk in chunks))


def bold_spans(text: str) -> list[tuple[str, bool]]:
    """The text cut at its bold marks: each piece and whether it is bold."""
    return [(piece, bool(i % 2)) for i, piece in enumerate(text.split("**")) if piece]


def _block(lines: list[str]) -> Block:
    """The block that a run of non-empty lines stands for."""
    first = lines[0]
    if first.startswith("!"):
        return Break(first[1:])
    if heading := _HEADING.fullmatch(first):
        return Heading(len(heading[1]), heading[2])
    if first.startswith("Bars:"):
        return _bars(lines)
    if first.startswith("|") or _CAPTION.match(first):
        return _table(lines)
    if first.startswith("> "):
        return Note(" ".join(line[2:].strip() for line in lines))
    if _ITEM.match(first):
        return _items(lines)
    return Paragraph(" ".join(line.strip() for line in lines))


def _items(lines: list[str]) -> Items:
    """A list; indented lines continue the entry above them."""
    entries: list[str] = []
    for line in lines:
        if mark := _ITEM.match(line):
            entries.append(line[mark.end() :])
        else:
            entries[-1] += " " + line.strip()
    return Items(tuple(entries), ordered=lines[0][0].isdigit())


def _table(lines: list[str]) -> Table:
    """A pipe table, with or without a caption line."""
    caption = "" if lines[0].startswith("|") else _CAPTION.sub("", lines[0])
    rows = [line for line in lines if line.startswith("|") and not _RULE_ROW.fullmatch(line)]
    return Table(caption, tuple(_cells(row) for row in rows))


def _cells(line: str) -> tuple[str, ...]:
    """The cells of a row; an empty last cell is kept."""
    return tuple(cell.strip() for cell in line.strip()[1:-1].split("|"))


def _bars(lines: list[str]) -> Bars:
    pairs = (_cells(line) for line in lines[1:])
    return Bars(_CAPTION.sub("", lines[0]), tuple((label, float(value)) for label, value in pairs))
