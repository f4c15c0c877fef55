"""Bullets that a file writes with any sign of any font, told by how they stand. Pure."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from rag.parse.pdf_page import Page, Word

_KNOWN = frozenset("•◦▪▫‣⁃●○■□◆◇►▶➢➤✓✔∙·*–—-")  # noqa: RUF001
_REACH = 3.0  # of the font's height: how far the text may stand from its bullet
_MIN_TIMES = 2
_BULLET = "\u2022"

_Sign = tuple[str, str]


def with_bullets(pages: Sequence[Page]) -> list[Page]:
    """The pages with every sign that does a bullet's work written as one: a lone symbol in another
    font than the text it precedes, with nothing near on its left, more than once in the file."""
    found = [_candidates(page) for page in pages]
    counts: Counter[_Sign] = Counter(_sign(word) for words in found for word in words)
    signs = {sign for sign, count in counts.items() if count >= _MIN_TIMES}
    return [
        _replaced(page, {w for w in words if _sign(w) in signs}) if words else page
        for page, words in zip(pages, found, strict=True)
    ]


def _sign(word: Word) -> _Sign:
    return word.text, word.font


def _candidates(page: Page) -> list[Word]:
    lone = [word for word in page.words if _is_symbol(word)]
    return [word for word in lone if _leads(word, page.words)] if len(lone) < 500 else []


def _is_symbol(word: Word) -> bool:
    """One sign that is no letter; or a glyph's name in the place of one: too long for its box."""
    if len(word.text) == 1:
        known = word.text in _KNOWN
        return not known and unicodedata.category(word.text) in ("So", "Sc", "Sk", "Po", "Co", "Cn")
    return len(word.text) >= 5 and word.box.width < 0.15 * word.size * len(word.text)


def _leads(word: Word, words: Sequence[Word]) -> bool:
    """True when text of another font follows on the line, and nothing stands near on the left."""
    line = [w for w in words if w is not word and _shares_line(word, w)]
    before = [w for w in line if w.box.x1 <= word.box.x0 + 1]
    after = [w for w in line if w.box.x0 >= word.box.x1 - 1]
    if any(word.box.x0 - w.box.x1 < 1.5 * word.size for w in before) or not after:
        return False
    following = min(after, key=lambda w: w.box.x0)
    gap = following.box.x0 - word.box.x1
    return 0.2 * word.size < gap < _REACH * word.size and following.font != word.font


def _shares_line(word: Word, other: Word) -> bool:
    return abs(word.box.middle - other.box.middle) < 0.5 * min(word.size, other.size)


def _replaced(page: Page, bullets: set[Word]) -> Page:
    words = tuple(replace(w, text=_BULLET) if w in bullets else w for w in page.words)
    return replace(page, words=words)
