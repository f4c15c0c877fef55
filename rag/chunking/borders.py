"""Where text may be cut: sentence ends, lines, words, whole characters. Pure string work."""

from __future__ import annotations

import re
import unicodedata

# A full stop counts when no lower-case letter follows; scripts without spaces need none.
_SENTENCE = re.compile(
    r"[.!?…؟۔।][\"'”’»)\]]*\s++(?![a-z])|"  # noqa: RUF001
    r"[。！？｡][」』”）]*+\s*+(?![\u200d\ufe0e\ufe0f\u0300-\u036f\u3099\u309a])"  # noqa: RUF001
)
_LINE = re.compile(r"\n\s*")
_PARAGRAPH = re.compile(r"\n[^\S\n]*\n")
_SPACE = " \n\t\r"
_JOINERS = "\u200d\ufe0e\ufe0f\u20e3"
_ZERO_WIDTH_JOINER = "\u200d"
_LONGEST_CLUSTER = 32


def skip_space(text: str, position: int, end: int) -> int:
    """The first position at or after `position` that is not white space, at most `end`."""
    while position < end and text[position].isspace():
        position += 1
    return position


def trim_end(text: str, start: int, end: int) -> int:
    """`end` moved left over white space, at least `start`."""
    while end > start and text[end - 1].isspace():
        end -= 1
    return end


def is_clean(text: str, position: int) -> bool:
    """True where white space touches the position, so that no token reaches across it."""
    return (
        position <= 0
        or position >= len(text)
        or text[position - 1] in _SPACE
        or text[position] in _SPACE
    )


def last_sentence(text: str, low: int, high: int) -> int | None:
    """The last start of a sentence in (low, high]."""
    return _last(_SENTENCE, text, low, high)


def last_line(text: str, low: int, high: int) -> int | None:
    """The last start of a line in (low, high]."""
    return _last(_LINE, text, low, high)


def _last(pattern: re.Pattern[str], text: str, low: int, high: int) -> int | None:
    found = None
    for match in pattern.finditer(text, max(low - 1, 0), high + 1):
        if low < match.end() <= high:
            found = match.end()
    return found


def first_sentence(text: str, low: int, high: int) -> int | None:
    """The first start of a sentence in [low, high)."""
    for match in _SENTENCE.finditer(text, max(low - 2, 0), high):
        if low <= match.end() < high:
            return match.end()
    return None


def sentences(text: str) -> list[str]:
    """The sentences of `text` in order, each on one line; a blank line ends one, too."""
    found: list[str] = []
    for part in _PARAGRAPH.split(text):
        start = 0
        for match in _SENTENCE.finditer(part):
            found.append(part[start : match.end()])
            start = match.end()
        found.append(part[start:])
    return [line for line in (" ".join(sentence.split()) for sentence in found) if line]


def last_word(text: str, low: int, high: int) -> int | None:
    """The last start of a word in (low, high]; an ideograph is a word of its own."""
    if low < high < len(text) and (text[high - 1] in _SPACE or _starts_ideograph(text, high)):
        return high
    found = max(text.rfind(space, low, high) for space in _SPACE) + 1
    return found if found > low else None


def first_word(text: str, low: int, high: int) -> int | None:
    """The first start of a word in [low, high)."""
    position = low
    while position < high:
        follows_space = position == 0 or text[position - 1] in _SPACE
        if not text[position].isspace() and (follows_space or _starts_ideograph(text, position)):
            return position
        position += 1
    return None


def whole_character(text: str, low: int, high: int) -> int:
    """`high`, moved left so as not to part a letter from its accents or an emoji's members.

    Always in (low, high]; a cluster longer than any real one is cut all the same."""
    position = high
    while low + 1 < position and high - position < _LONGEST_CLUSTER:
        if not _joins(text, position):
            return position
        position -= 1
    return high if _joins(text, position) else position


def _joins(text: str, position: int) -> bool:
    """True where the characters on both sides of `position` are one to a reader."""
    if not 0 < position < len(text):
        return False
    after, before = text[position], text[position - 1]
    if after < "\u0300":
        return after == "\n" and before == "\r"
    return (
        after in _JOINERS
        or before == _ZERO_WIDTH_JOINER
        or "\U0001f3fb" <= after <= "\U0001f3ff"
        or unicodedata.category(after).startswith("M")
        or _splits_flag(text, position)
    )


def _splits_flag(text: str, position: int) -> bool:
    """True in the middle of a pair of regional indicators."""
    run = position
    while run > 0 and position - run < _LONGEST_CLUSTER and _is_flag_half(text[run - 1]):
        run -= 1
    return _is_flag_half(text[position]) and (position - run) % 2 == 1


def _is_flag_half(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _starts_ideograph(text: str, position: int) -> bool:
    character = text[position]
    is_ideograph = "\u2e80" <= character <= "\u9fff" or "\U00020000" <= character <= "\U0003ffff"
    return is_ideograph and not _joins(text, position)
