"""Words of a page joined to segments: runs on one baseline without a gap wide enough for a gutter
or a table's next cell. Pure."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rag.parse.pdf_page import Box, Word, bounds

_GAP = 0.95  # of the font's height: wider gaps part segments
_SPACE = 0.12  # of the font's height: narrower gaps are no space
_MARKER = re.compile(r"[•◦▪▫‣⁃●○■□◆◇►▶➢➤∙·–—-]|\uf0b7|\uf0a7|\(?(?:\d{1,2}|[a-z])[.)]")  # noqa: RUF001
_RTL = (("\u0590", "\u08ff"), ("\ufb1d", "\ufdff"), ("\ufe70", "\ufeff"))


@dataclass(frozen=True, slots=True)
class Segment:
    """Words that stand together on one line."""

    words: tuple[Word, ...]
    box: Box

    @classmethod
    def of(cls, words: Sequence[Word]) -> Segment:
        """The segment of `words`, which are in order from left to right."""
        return cls(tuple(words), bounds([word.box for word in words]))

    @property
    def text(self) -> str:
        """The words in reading order, with spaces only where there is room for one."""
        return join_words(self.words)

    @property
    def size(self) -> float:
        """The font height most of its characters have."""
        counts: Counter[float] = Counter()
        for word in self.words:
            counts[round(word.size, 1)] += len(word.text)
        return counts.most_common(1)[0][0]

    @property
    def is_bold(self) -> bool:
        """True when nearly all of it is bold."""
        total = sum(len(word.text) for word in self.words)
        return sum(len(w.text) for w in self.words if w.is_bold) >= 0.9 * total

    @property
    def is_italic(self) -> bool:
        """True when all of it is italic."""
        return all(word.is_italic for word in self.words)

    @property
    def is_mono(self) -> bool:
        """True when all of it is in a fixed pitch font."""
        return all(word.is_mono for word in self.words)


def segments_of(words: Iterable[Word]) -> list[Segment]:
    """The segments of a page, from top to bottom, then left to right."""
    found: list[Segment] = []
    for row in _rows(list(words)):
        found += _split(sorted(row, key=lambda w: w.box.x0))
    return sorted(found, key=lambda s: (s.box.middle, s.box.x0))


def _rows(words: list[Word]) -> list[list[Word]]:
    """Words whose middles lie close together. Small words come last, when the lines are known: a
    raised or lowered one joins the line it belongs to."""
    usual = statistics.median(word.size for word in words) if words else 0.0
    rows: list[list[Word]] = []
    middles: list[float] = []
    for word in sorted(words, key=lambda w: (w.size < 0.75 * usual, w.box.middle, w.box.x0)):
        for index in _nearby(middles, word):
            if _same_line(rows[index], middles[index], word):
                rows[index].append(word)
                middles[index] = statistics.fmean(w.box.middle for w in rows[index][-6:])
                break
        else:
            rows.append([word])
            middles.append(word.box.middle)
    return rows


def _nearby(middles: list[float], word: Word) -> list[int]:
    """The rows whose middle is near the word's, the newest first."""
    reach = max(1.0, 1.2 * word.size)
    middle = word.box.middle
    return [i for i in range(len(middles) - 1, -1, -1) if abs(middles[i] - middle) <= reach]


def _same_line(row: list[Word], middle: float, word: Word) -> bool:
    near = min(row, key=lambda w: abs(w.box.x0 - word.box.x0))
    small, large = sorted((near.size, word.size))
    if small < 0.75 * large and _gap(near, word) < 0.5 * large:  # superscript or subscript
        return abs(near.box.middle - word.box.middle) < 0.62 * large
    return abs(middle - word.box.middle) < 0.38 * small


def _gap(a: Word, b: Word) -> float:
    return max(b.box.x0 - a.box.x1, a.box.x0 - b.box.x1)


def _split(row: list[Word]) -> list[Segment]:
    parts: list[list[Word]] = [[row[0]]]
    for word in row[1:]:  # a list marker stays with its text
        last = parts[-1][-1]
        edge = max(w.box.x1 for w in parts[-1][-3:])
        wide = _GAP * max(min(last.size, word.size), 0.6 * max(last.size, word.size))
        if len(parts[-1]) == 1 and _MARKER.fullmatch(last.text):
            wide *= 3 if len(word.text) > 1 or not last.text[-1].isalnum() else 1
        if word.box.x0 - edge > wide:
            parts.append([word])
        else:
            parts[-1].append(word)
    return [Segment.of(part) for part in parts]


def sideways_lines(words: Sequence[Word]) -> list[str]:
    """The lines that words on their side make, each read along its direction."""
    lines: list[list[Word]] = []
    for word in sorted(words, key=lambda w: w.box.x0):
        if lines and word.box.x0 < lines[-1][-1].box.x1 - 0.5 * word.box.width:
            lines[-1].append(word)
        else:
            lines.append([word])
    return [
        " ".join(w.text for w in sorted(line, key=lambda w: -w.turn * w.box.middle))
        for line in lines
    ]


def is_rtl(text: str) -> bool:
    """True for a character run in Hebrew, Arabic and their like."""
    return any(low <= char <= high for char in text for low, high in _RTL)


def join_words(words: Sequence[Word]) -> str:
    """The text of words that stand from left to right on one line, in reading order."""
    rtl = sum(len(w.text) for w in words if is_rtl(w.text))
    if rtl * 2 > sum(len(w.text) for w in words):
        return _join_rtl(words)
    parts = [words[0].text]
    for before, word in pairwise(words):
        gap = word.box.x0 - before.box.x1
        parts.append(("" if gap < _SPACE * min(before.size, word.size) else " ") + word.text)
    return "".join(parts)


def _join_rtl(words: Sequence[Word]) -> str:
    """Right to left, with runs of other scripts kept in their own order."""
    runs: list[list[Word]] = []
    for word in words:
        if runs and not is_rtl(word.text) and not is_rtl(runs[-1][-1].text):
            runs[-1].append(word)
        else:
            runs.append([word])
    return " ".join(" ".join(word.text for word in run) for run in reversed(runs))
