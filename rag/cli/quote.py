"""The part of a passage that is shown: the stretch with most of the question's words."""

from __future__ import annotations

import re

_TABLE_RULE = re.compile(r"\|(?:\s*:?-{3,}:?\s*\|)+")
_TABLE_BORDER = re.compile(r"\s*\|(?:\s*\|)*\s*")
_WORD = re.compile(r"\w+")
_SHORT = 3  # words up to this length say little
_STEM = 5  # letters that words of one stem share


def excerpt(text: str, query: str, limit: int) -> str:
    """At most about `limit` characters of the passage on one line, cut at words, table rules left
    out."""
    line = as_line(text)
    if len(line) <= limit:
        return line
    words = line.split(" ")
    start = _best_start(words, _stems(query), limit)
    end = _end(words, start, limit)
    shown = " ".join(words[start:end])
    return f"{'… ' if start else ''}{shown}{' …' if end < len(words) else ''}"


def as_line(text: str) -> str:
    """The text on one line; a table's cells are parted by middle dots."""
    flat = " ".join(text.split())
    without_rules = _TABLE_RULE.sub("|", flat)
    return _TABLE_BORDER.sub(" · ", without_rules).strip(" ·")


def _best_start(words: list[str], wanted: set[str], limit: int) -> int:
    """Where the window with most of the wanted stems begins: two words before the first of them."""
    stems = [_stems(word) & wanted for word in words]
    best, most = 0, -1
    for start, here in enumerate(stems):
        if start and not here:
            continue
        found = set().union(*stems[start : _end(words, start, limit)])
        if len(found) > most:
            best, most = start, len(found)
    return max(0, best - 2)


def _end(words: list[str], start: int, limit: int) -> int:
    length = 0
    for index in range(start, len(words)):
        length += len(words[index]) + 1
        if length > limit:
            return max(index, start + 1)
    return len(words)


def _stems(text: str) -> set[str]:
    return {
        word[:_STEM].lower()
        for word in _WORD.findall(text)
        if len(word) > _SHORT or any(letter.isdigit() for letter in word)
    }
