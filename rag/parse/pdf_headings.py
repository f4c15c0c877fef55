"""Which blocks of a PDF are headings, and of what level: by font, numbering and bookmarks. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rag.parse.pdf_blocks import BULLET, PdfBlock, TextBlock
from rag.parse.pdf_page import Word
from rag.parse.pdf_source import Outline

_NUMBER = re.compile(r"((?:\d{1,2}|[A-Z])(?:\.\d{1,2})*)\.?\s+\D")
_MANY = 160
_ENDS_LIKE_TEXT = re.compile(r"[.,;:]$|(?:\s?\.){4,}\s*\S{1,5}$")
_NOTE = re.compile(r"note|source|see|continued|\(", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Headings:
    """The headings' styles of one document."""

    body_size: float
    body_is_bold: bool
    sizes: tuple[float, ...]
    outline: dict[str, int]
    rare_fonts: frozenset[str] = frozenset()

    def level(self, block: TextBlock) -> int | None:
        """The level of `block` from 1, or None when it is no heading."""
        text = block.text
        listed = self.outline.get(_plain(text))
        if listed is not None and len(block.lines) <= 3:
            return listed
        if not self._may_be(block):
            return None
        if self._is_large(block) or self._is_marked(block):
            return self._rank(block)
        return None

    def _may_be(self, block: TextBlock) -> bool:
        text = block.text
        letters = sum(char.isalpha() for char in text)
        if len(text) > _MANY or len(block.lines) > 3 or letters < 2 or letters < 0.4 * len(text):
            return False
        return not BULLET.match(text) and not block.lines[0].is_mono

    def _is_large(self, block: TextBlock) -> bool:
        return block.size >= 1.13 * self.body_size

    def _is_marked(self, block: TextBlock) -> bool:
        text, bold = block.text, all(line.is_bold for line in block.lines)
        if _ENDS_LIKE_TEXT.search(text) or block.size < 0.9 * self.body_size:
            return False
        if bold and not self.body_is_bold:
            return len(text) <= 120
        if len(block.lines) == 1 and self._is_set_apart(block):
            return True
        if len(block.lines) == 1 and block.lines[0].is_italic:
            return len(text) <= 60 and text[0].isupper() and not _NOTE.match(text)
        capitals = text.isupper() and len(text) >= 4 and len(block.lines) == 1
        return capitals and (bool(_NUMBER.match(text)) or len(text.split()) <= 8)

    def _is_set_apart(self, block: TextBlock) -> bool:
        """A short line a little larger than the text, in a font that little else is set in."""
        line = block.lines[0]
        larger = 1.045 * self.body_size <= line.size
        return larger and len(line.text) <= 60 and line.font in self.rare_fonts

    def _rank(self, block: TextBlock) -> int:
        number = _NUMBER.match(block.text)
        if number:
            depth = number[1].count(".") + 1
            return min(6, depth + int(bool(self.sizes) and self.sizes[0] > block.size * 1.05))
        larger = sum(1 for size in self.sizes if size > block.size * 1.07)
        return min(4, larger + 1)


def headings_of(
    blocks: Sequence[PdfBlock], outline: Iterable[Outline], words: Sequence[Word]
) -> Headings:
    """The styles that tell headings from text in this document; `words` are all it has, those in
    tables too."""
    sizes: Counter[float] = Counter()
    bold: Counter[bool] = Counter()
    fonts: Counter[str] = Counter()
    texts = [block for block in blocks if isinstance(block, TextBlock)]
    for word in words:
        sizes[round(word.size * 2) / 2] += len(word.text)
        bold[word.is_bold] += len(word.text)
        fonts[word.font] += len(word.text)
    body = sizes.most_common(1)[0][0] if sizes else 10.0
    rare = frozenset(font for font, count in fonts.items() if count < 0.12 * fonts.total())
    listed = {_plain(entry.title): min(6, entry.level) for entry in outline}
    listed.pop("", None)
    known = Headings(body, bold[True] > bold[False], (), listed, rare)
    used = Counter(round(b.size * 2) / 2 for b in texts if known._may_be(b) and known._is_large(b))
    return Headings(body, known.body_is_bold, _distinct(used), listed, rare)


def _distinct(used: Counter[float]) -> tuple[float, ...]:
    """At most three heading sizes, largest first: the most used ones that differ clearly."""
    kept: list[float] = []
    for size, _ in used.most_common():
        if len(kept) < 3 and all(not 0.92 < size / other < 1.08 for other in kept):
            kept.append(size)
    return tuple(sorted(kept, reverse=True))


def _plain(text: str) -> str:
    """A title without its numbering, spaces and case: what a bookmark and a heading share."""
    text = re.sub(r"^(?:chapter|section|kapitel)?\s*[\dA-Z]{0,3}(?:\.\d+)*[.:]?\s+", "", text)
    return re.sub(r"\W+", "", text.lower())
