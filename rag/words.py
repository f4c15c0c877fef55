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
_PART = re.compile(r"[^\W_]+")
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+"
)
_JOINERS = "-_./@:+&"
# ASCII in lower case, a space for what neither stands in a token nor joins two: to split there is
# three times as fast
_PARTED = bytes(
    ord(letter.lower()) if letter.isalnum() or letter in _JOINERS else ord(" ")
    for letter in map(chr, range(128))
).ljust(256)
_LONGEST = 120  # longer than any name: not worth a place in the index as a whole


def words_of(text: str) -> list[str]:
    """The words of a text in order, lower case, joined tokens beside their parts."""
    if not text.isascii():
        return _words_in(unicodedata.normalize("NFKC", text).lower())
    found: list[str] = []
    for run in text.encode().translate(_PARTED).decode().split():
        word = run if run.isalnum() else run.strip(_JOINERS)
        if word.isalnum() and len(word) <= _LONGEST:
            found.append(word)
        else:
            found += _words_in(word)
    return found


def _words_in(plain: str) -> list[str]:
    return [word for token in _TOKEN.findall(plain) for word in _split(token)]


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
