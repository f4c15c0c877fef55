"""What counts as a word when texts are searched by their words: pure, the same for passages and
questions.

A word is a run of letters and digits. Runs joined by one of - _ . / @ : + & (part numbers, e-mail
addresses, versions, paths, hyphenated words) are indexed as the whole token and as its parts, so
`LW-2024/117` finds itself first and `2024` still finds it. Scripts written without spaces are cut
into pairs of characters.
"""

from __future__ import annotations

import re
import unicodedata

_TOKEN = re.compile(r"[^\W_]{1,120}(?:[-_./@:+&][^\W_]{1,120})*")
# the same for text that is ASCII, lower case, and of no longer runs: three times as fast
_ASCII_TOKEN = re.compile(r"[a-z0-9]+(?:[-_./@:+&][a-z0-9]+)*")
_PART = re.compile(r"[^\W_]+")
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+"
)
_LONGEST = 120  # longer than any name: not worth a place in the index as a whole


def words_of(text: str) -> list[str]:
    """The words of a text in order, lower case, joined tokens beside their parts."""
    is_ascii = text.isascii()
    plain = text if is_ascii else unicodedata.normalize("NFKC", text)
    plain = plain.lower()
    if is_ascii:
        tokens: list[str] = _ASCII_TOKEN.findall(plain)
        if max(map(len, tokens), default=0) <= _LONGEST and "".join(tokens).isalnum():
            return tokens
    found: list[str] = []
    for token in _TOKEN.findall(plain):
        if is_ascii and token.isalnum():
            found.append(token)
        else:
            found += _split(token)
    return found


def _split(token: str) -> list[str]:
    if token.isalnum():
        return _unspaced(token)
    parts = [piece for part in _PART.findall(token) for piece in _unspaced(part)]
    return [token, *parts] if len(token) <= _LONGEST else parts


def _unspaced(word: str) -> list[str]:
    """Pairs of characters of a script without spaces; any other word as it is."""
    if word.isascii() or not _UNSPACED.search(word):
        return [word]
    pieces: list[str] = []
    at = 0
    for run in _UNSPACED.finditer(word):
        pieces += [word[at : run.start()], *_pairs(run.group())]
        at = run.end()
    return [piece for piece in [*pieces, word[at:]] if piece]


def _pairs(run: str) -> list[str]:
    return [run] if len(run) < 2 else [run[at : at + 2] for at in range(len(run) - 1)]


def is_inflected(word: str) -> bool:
    """Whether a word is one that stemming may change: letters only."""
    return word.isalpha()
