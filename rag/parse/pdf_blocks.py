"""Lines of a region grouped into paragraphs, list items, code and tables. Pure."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rag.parse.pdf_lines import Segment, is_rtl, join_words
from rag.parse.pdf_page import Box, bounds
from rag.parse.pdf_tables import Table, aligned_table, rows_of

BULLET = re.compile(r"(?:[•◦▪▫‣⁃●○■□◆◇►▶➢➤✓✔∙·*–—-]|\uf0b7|\uf0a7|\u2022)\s+\S|[•▪●■]\S")  # noqa: RUF001
ENUMERATION = re.compile(r"(?:\(?(?:\d{1,3}|[a-zA-Z]|[ivx]{1,5})[.)]|\[\d{1,3}\])\s+\S")
_LEADER = re.compile(r"(?:\s?\.){4,}\s*[\divxlc]{1,5}$")
_SENTENCE_END = re.compile(r"[.!?:;。！？؟][\"'”’)\]]*$")  # noqa: RUF001


@dataclass(frozen=True, slots=True)
class Line:
    """One line of running text."""

    text: str
    box: Box
    size: float
    is_bold: bool
    is_mono: bool
    is_italic: bool = False
    font: str = ""

    @classmethod
    def of(cls, row: Sequence[Segment]) -> Line:
        """The line that the segments of one row make."""
        words = [word for segment in row for word in segment.words]
        whole = Segment.of(words)
        text = join_words(words)
        style = whole.is_bold, whole.is_mono, whole.is_italic
        font = Counter(word.font for word in words).most_common(1)[0][0]
        return cls(text, whole.box, whole.size, *style, font)

    @property
    def is_item(self) -> bool:
        """True when the line begins a list item."""
        return bool(BULLET.match(self.text) or ENUMERATION.match(self.text))


@dataclass(frozen=True, slots=True)
class TextBlock:
    """Lines that belong together on one page."""

    lines: tuple[Line, ...]
    page: int

    @property
    def box(self) -> Box:
        return bounds([line.box for line in self.lines])

    @property
    def size(self) -> float:
        """The font height most of its characters have."""
        counts: Counter[float] = Counter()
        for line in self.lines:
            counts[line.size] += len(line.text)
        return counts.most_common(1)[0][0]

    @property
    def text(self) -> str:
        return " ".join(line.text for line in self.lines)


@dataclass(frozen=True, slots=True)
class TableBlock:
    """A table on one page."""

    table: Table
    page: int


PdfBlock = TextBlock | TableBlock


def blocks_of(segments: Sequence[Segment], page: int) -> Iterator[PdfBlock]:
    """The blocks of one region from top to bottom."""
    rows = rows_of(segments)
    waiting: list[Line] = []
    index = 0
    while index < len(rows):
        end = _table_end(rows, index)
        table = aligned_table(rows[index:end]) if end else None
        if table is None:
            waiting.append(Line.of(rows[index]))
            index += 1
            continue
        yield from _paragraphs(waiting, page)
        waiting = []
        yield TableBlock(table, page)
        index = end
    yield from _paragraphs(waiting, page)


def _table_end(rows: list[list[Segment]], start: int) -> int:
    """Where a run of table rows that begins at `start` ends; 0 when there is none."""
    if len(rows[start]) < 2:
        return 0
    end, last_multi, multi = start + 1, start, 1
    while end < len(rows) and _follows(rows[end - 1], rows[end]):
        if len(rows[end]) >= 2:
            last_multi, multi = end, multi + 1
        elif end - last_multi > 1 or not _fits_column(rows[last_multi], rows[end]):
            break
        end += 1
    run = rows[start : last_multi + 1]
    wide = sum(len(row) >= 3 for row in run)
    if multi < 3 or (wide < 2 and multi < 4 and not _is_pair_list(run)):
        return 0
    if _is_list(run) or _is_prose(run):
        return 0
    return last_multi + 1


def _follows(above: list[Segment], row: list[Segment]) -> bool:
    gap = row[0].box.y0 - max(s.box.y1 for s in above)
    return gap < 2.2 * min(s.size for s in above + row)


def _fits_column(above: list[Segment], row: list[Segment]) -> bool:
    """True for the rest of a wrapped cell: it stands under one cell of the row above."""
    box = row[0].box
    hit = [s for s in above if s.box.x0 - 3 <= box.x1 and box.x0 <= s.box.x1 + 3]
    return len(row) == 1 and len(hit) == 1


def _is_pair_list(run: list[list[Segment]]) -> bool:
    return len(run) >= 3 and all(len(row) == 2 for row in run)


def _is_list(run: list[list[Segment]]) -> bool:
    """True for bullets that stand apart from their text, and for lists side by side."""
    segments = [s for row in run for s in row]
    items = sum(bool(BULLET.match(s.text) or ENUMERATION.match(s.text)) for s in segments)
    if 2 * items > len(segments):
        return True
    marks = sum(1 for row in run if len(row[0].text) <= 4 and ENUMERATION.match(row[0].text + " x"))
    marks += sum(1 for row in run if BULLET.match(row[0].text + " x") and len(row[0].text) <= 2)
    return marks > 0.5 * len(run)


def _is_prose(run: list[list[Segment]]) -> bool:
    """True for text lines that wide gaps of justified setting cut in two."""
    lengths = [len(s.text) for row in run for s in row]
    return statistics.fmean(lengths) > 45 or statistics.median(lengths) > 45


def _paragraphs(lines: Sequence[Line], page: int) -> Iterator[TextBlock]:
    if not lines:
        return
    area = bounds([line.box for line in lines])
    leading = _leading(lines)
    current = [lines[0]]
    for line in lines[1:]:
        if _parts(current, line, area, leading):
            yield TextBlock(tuple(current), page)
            current = []
        current.append(line)
    yield TextBlock(tuple(current), page)


def _leading(lines: Sequence[Line]) -> float:
    """The usual distance between two lines of a paragraph here."""
    steps = [
        b.box.middle - a.box.middle
        for a, b in pairwise(lines)
        if 0.5 * a.size < b.box.middle - a.box.middle < 2.6 * max(a.size, b.size)
    ]
    if not steps:
        return 1.3 * statistics.median(line.size for line in lines)
    counts = Counter(round(step * 2) / 2 for step in steps)
    most = counts.most_common(1)[0][1]
    return min(step for step, count in counts.items() if count >= 0.6 * most)


def _parts(current: list[Line], line: Line, area: Box, leading: float) -> bool:
    """True when `line` begins a new block after `current`."""
    last = current[-1]
    step = line.box.middle - last.box.middle
    scale = max(1.0, min(line.size, last.size) / (0.8 * leading))
    if _LEADER.search(last.text):
        return True
    if line.is_mono and last.is_mono:
        return step > 3.2 * leading
    if step > 1.32 * leading * scale + 1 or step < -0.5 * line.size:
        return True
    if _differs(last, line) or line.is_item:
        return True
    return _indent_parts(current, line, area) or _ends_short(current, line, area)


def _differs(last: Line, line: Line) -> bool:
    ratio = line.size / max(0.1, last.size)
    if not 0.88 < ratio < 1.14 and min(len(last.text), len(line.text)) > 2:
        return True
    if min(len(line.text), len(last.text)) < 4:
        return False
    if line.font != last.font and not 0.96 < ratio < 1.042:
        return True
    ends_early = last.box.x1 < line.box.x0 + 0.75 * line.box.width
    return last.is_bold != line.is_bold or (last.is_italic and not line.is_italic and ends_early)


def _indent_parts(current: list[Line], line: Line, area: Box) -> bool:
    last, em = current[-1], line.size
    if is_rtl(line.text):
        return False
    if current[0].is_item:
        return line.box.x0 < current[0].box.x0 - 0.5 * em
    if (
        abs(line.box.x0 + line.box.x1 - area.x0 - area.x1)
        < 0.1 * area.width
        < line.box.x0 - area.x0
    ):
        return False  # centred
    shift = line.box.x0 - last.box.x0
    if len(current) == 1:
        return shift > 0.8 * em and last.box.x1 < area.x1 - 0.12 * area.width
    return shift > 0.8 * em and shift < 12 * em


def _ends_short(current: list[Line], line: Line, area: Box) -> bool:
    last = current[-1]
    if is_rtl(last.text) or not _SENTENCE_END.search(last.text):
        return False
    right = max(area.x0 + 1, max(entry.box.x1 for entry in [*current, line]))
    room = right - last.box.x1
    first = re.match(r"\S+", line.text)
    width = len(first[0]) * line.box.width / max(1, len(line.text)) if first else 0
    return room > width + 1.5 * line.size and room > 0.15 * area.width
