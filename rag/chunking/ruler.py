"""How long a span is: in the strategy's unit, and in tokens of the embedding model.

A document is tokenised once and spans are measured by bisection. That is exact where white space
touches both ends, because these models' tokenizers never look across it; a span cut inside a word
is counted anew.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from typing import Literal

from rag.chunking.borders import is_clean
from rag.ports import Tokenizer

Unit = Literal["tokens", "chars", "words"]

_WORD = re.compile(r"\S+")
# A token may be a word of any length; a passage nobody can read is of no use.
_CHARS_PER_TOKEN = 32


class Ruler:
    """Measures one document's text. Positions are in characters."""

    def __init__(self, text: str, starts: Sequence[int], tokenizer: Tokenizer, unit: Unit) -> None:
        """`starts` says where the text's tokens begin."""
        self.text = text
        self._tokenizer = tokenizer
        self._tokens = starts
        self._unit = unit
        self._words = [m.start() for m in _WORD.finditer(text)] if unit == "words" else []

    def tokens(self, start: int, end: int) -> int:
        """Tokens of the span when it is a text of its own."""
        if is_clean(self.text, start) and is_clean(self.text, end):
            return bisect_left(self._tokens, end) - bisect_left(self._tokens, start)
        return self._tokenizer.count([self.text[start:end]])[0]

    def units(self, start: int, end: int) -> int:
        """Length of the span in the strategy's unit."""
        if self._unit == "tokens":
            return self.tokens(start, end)
        if self._unit == "chars":
            return end - start
        return bisect_left(self._words, end) - bisect_left(self._words, start) + self._rest(start)

    def reach(self, start: int, units: int, tokens: int) -> int:
        """The furthest end of a span from `start` that keeps to both lengths."""
        tokens = self._at_most(units, tokens)
        furthest = min(
            _forward(self._tokens, start, tokens, len(self.text)),
            start + _CHARS_PER_TOKEN * tokens,
        )
        if self._unit == "chars":
            return min(furthest, start + units)
        if self._unit == "words":
            return min(
                furthest, _forward(self._words, start, units - self._rest(start), len(self.text))
            )
        return furthest

    def back(self, end: int, units: int, tokens: int) -> int:
        """The earliest start of a span to `end` that keeps to both lengths."""
        tokens = self._at_most(units, tokens)
        earliest = _backward(self._tokens, end, tokens)
        if self._unit == "chars":
            return max(earliest, end - units)
        if self._unit == "words":
            return max(earliest, _backward(self._words, end, units))
        return earliest

    def _rest(self, start: int) -> int:
        """1 in the middle of a word, whose rest counts as a word; else 0."""
        around = self.text[max(start - 1, 0) : start + 1]
        return int(len(around) == 2 and not around[0].isspace() and not around[1].isspace())

    def _at_most(self, units: int, tokens: int) -> int:
        return min(units, tokens) if self._unit == "tokens" else tokens


def _forward(starts: Sequence[int], position: int, count: int, end: int) -> int:
    index = bisect_left(starts, position) + count
    return starts[index] if index < len(starts) else end


def _backward(starts: Sequence[int], position: int, count: int) -> int:
    index = bisect_left(starts, position) - count
    return starts[index] if index > 0 else 0
