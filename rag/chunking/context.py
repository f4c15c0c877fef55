"""What stands before a chunk's text when it is embedded: title, headings, a table's head row."""

from __future__ import annotations

from typing import Literal

from rag.chunking.borders import last_word, whole_character
from rag.chunking.outline import Outline, one_line
from rag.chunking.ruler import Ruler
from rag.ports import Tokenizer

Prefix = Literal["headings", "title", "none"]

SEPARATOR = " > "
BLANK_LINE = "\n\n"


def prefix_parts(title: str | None, headings: tuple[str, ...], prefix: Prefix) -> tuple[str, ...]:
    """The names put before a chunk, outermost first, a title that is the first heading once."""
    if prefix == "none":
        return ()
    name = one_line(title or "")
    if prefix == "title":
        return (name,) if name else ()
    if headings and name.casefold() == headings[0].casefold():
        return headings
    return (name, *headings) if name else headings


class Contexts:
    """The contexts of one document's chunks and their cost in tokens, each worked out once.

    A prefix takes at most `prefix_limit` tokens: it loses its title first, then its outermost
    headings, then the end of the last heading. A table's head takes at most `head_limit`."""

    def __init__(
        self,
        outline: Outline,
        ruler: Ruler,
        tokenizer: Tokenizer,
        *,
        title: str | None,
        prefix: Prefix,
        window: int,
    ) -> None:
        self._outline = outline
        self._ruler = ruler
        self._tokenizer = tokenizer
        self._title = title
        self._prefix: Prefix = prefix
        self._prefix_limit = window // 4
        self._head_limit = window // 2 - 2
        self._costs: dict[str, int] = {"": 0}
        self._prefixes: dict[tuple[str, ...], str] = {}
        self._highest: dict[tuple[str, ...], int] = {}
        self._heads: dict[int, tuple[str, int]] = {}

    def text(self, start: int, headings: tuple[str, ...]) -> str:
        """The context of a chunk that starts at `start` under `headings`."""
        parts = (self.prefix(headings), self._head(start)[0])
        return BLANK_LINE.join(part for part in parts if part)

    def cost(self, start: int, headings: tuple[str, ...]) -> int:
        """Most tokens that the context of a chunk from `start` can take: a chunk may end up
        under `headings` or, when it grows, under the first few of them."""
        return self._highest_cost(headings) + self._head(start)[1]

    def prefix(self, headings: tuple[str, ...]) -> str:
        """Title and headings joined, at most the limit long."""
        if headings not in self._prefixes:
            self._prefixes[headings] = self._shortened(
                prefix_parts(self._title, headings, self._prefix)
            )
        return self._prefixes[headings]

    def _highest_cost(self, headings: tuple[str, ...]) -> int:
        if headings not in self._highest:
            above = self._highest_cost(headings[:-1]) if headings else 0
            self._highest[headings] = max(above, self._count(self.prefix(headings)))
        return self._highest[headings]

    def _shortened(self, parts: tuple[str, ...]) -> str:
        while len(parts) > 1 and self._count(SEPARATOR.join(parts)) > self._prefix_limit:
            parts = parts[1:]
        if not parts or self._count(parts[-1]) <= self._prefix_limit:
            return SEPARATOR.join(parts)
        return self._beginning(parts[-1])

    def _beginning(self, text: str) -> str:
        """The first words of a text that is too long for a prefix."""
        (starts,) = self._tokenizer.starts([text])
        limit = starts[self._prefix_limit] if len(starts) > self._prefix_limit else len(text)
        end = last_word(text, 0, limit) or whole_character(text, 0, limit)
        while end and self._count(text[:end].strip()) > self._prefix_limit:
            end = end // 2
        return text[:end].strip()

    def _head(self, start: int) -> tuple[str, int]:
        """Head row and cost, for a chunk that starts inside a table and below its head."""
        index = self._outline.at(start)
        piece = self._outline.pieces[index]
        if not piece.head_end or start < piece.head_end:
            return "", 0
        if index not in self._heads:
            self._heads[index] = self._fitting_head(piece.start, piece.head_end)
        return self._heads[index]

    def _fitting_head(self, start: int, end: int) -> tuple[str, int]:
        """Head row and dashes, or the row alone, or nothing when even that would starve text."""
        for stop in (end, self._outline.text.index("\n", start, end)):
            cost = self._ruler.tokens(start, stop)
            if cost <= self._head_limit:
                return self._outline.text[start:stop].rstrip(), cost
        return "", 0

    def _count(self, text: str) -> int:
        if text not in self._costs:
            self._costs[text] = self._tokenizer.count([text])[0]
        return self._costs[text]
