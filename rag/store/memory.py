"""What a process remembers of collections' indexes, so that a question reads only what is new.

An outline says what a live index is made of; postings never change, as segments never do. Nothing
here says who may see what: a search asks for the outline again, under its caller's rights, with the
rows it finds, and takes what it remembered for true only when both are the same.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Generic, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from rag.model import CollectionName
from rag.ranking import Gains, Layout, Segment

_OUTLINES = 1000
_WORDS = 100_000
_POSTING_BYTES = 128 << 20
_VECTOR_BYTES = 16 << 20
_OVERHEAD = 300  # what Python takes for a remembered posting beside its bytes
_SPAN = re.compile(r"\[(\d+),(\d+)\)")

Vector: TypeAlias = NDArray[np.float32]
Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


@dataclass(frozen=True)  # without slots: what is worked out of it is kept with it
class Outline:
    """What a collection's index is made of. `recipe` and `segments` are as Postgres wrote them, so
    that two are compared without being read."""

    generation_id: int | None
    home: int
    language: str
    has_access_lists: bool
    recipe_text: str | None
    segment_rows: tuple[tuple[int, int, int, int, str], ...]

    @cached_property
    def recipe(self) -> Mapping[str, object] | None:
        """What the generation was built under."""
        found: Mapping[str, object] | None = json.loads(self.recipe_text or "null")
        return found

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """Its segments in order."""
        return tuple(
            Segment(id_, slots, rows, words, _spans(dead))
            for id_, slots, rows, words, dead in self.segment_rows
        )

    @cached_property
    def layout(self) -> Layout:
        """Its segments laid end to end."""
        return Layout(self.segments)

    @property
    def rows(self) -> int:
        """How many passages it serves."""
        return self.layout.rows


def _spans(dead: str) -> tuple[tuple[int, int], ...]:
    return tuple((int(first), int(end)) for first, end in _SPAN.findall(dead))


class Latest(Generic[Key, Value]):
    """The entries used last, as many as weigh no more than `most` together."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._entries: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self.weight = 0

    def get(self, key: Key) -> Value | None:
        """The entry, used now; None when it is not known."""
        found = self._entries.get(key)
        if found is None:
            return None
        self._entries.move_to_end(key)
        return found[0]

    def put(self, key: Key, value: Value, weight: int = 1) -> None:
        """Keep the entry, and let those go that were not used for longest."""
        self.drop(key)
        self._entries[key] = (value, weight)
        self.weight += weight
        while self.weight > self._most:
            _, (_, gone) = self._entries.popitem(last=False)
            self.weight -= gone

    def drop(self, key: Key) -> None:
        """Forget the entry."""
        _, weight = self._entries.pop(key, (None, 0))
        self.weight -= weight


class Memory:
    """The memory of one process for one database; its callers may be many threads."""

    def __init__(self, posting_bytes: int = _POSTING_BYTES) -> None:
        """`posting_bytes` bound the postings, and what is worked out of them for an index as it
        is."""
        self._outlines: Latest[CollectionName, Outline] = Latest(_OUTLINES)
        self._lexemes: Latest[tuple[str, str], str] = Latest(_WORDS)
        self._postings: Latest[tuple[int, str], bytes] = Latest(posting_bytes // 2)
        self._gains: Latest[tuple[Layout, str], Gains] = Latest(posting_bytes // 2)
        self._vectors: Latest[tuple[CollectionName, int, str], Vector] = Latest(_VECTOR_BYTES)
        self._lock = Lock()

    def outline(self, name: CollectionName) -> Outline | None:
        """What the collection's live index was made of when it was looked at last."""
        with self._lock:
            return self._outlines.get(name)

    def keep_outline(self, name: CollectionName, found: Outline | None) -> None:
        """Remember how the live index looks now; None: there is no such collection."""
        with self._lock:
            if found is None:
                self._outlines.drop(name)
            else:
                self._outlines.put(name, found)

    def lexemes(self, language: str, words: Iterable[str]) -> dict[str, str]:
        """What those words are indexed as that are known; nothing ('') for a stop word."""
        with self._lock:
            found = {word: self._lexemes.get((language, word)) for word in words}
        return {word: lexeme for word, lexeme in found.items() if lexeme is not None}

    def keep_lexemes(self, language: str, lexemes: Mapping[str, str]) -> None:
        """Remember what words are indexed as."""
        with self._lock:
            for word, lexeme in lexemes.items():
                self._lexemes.put((language, word), lexeme)

    def postings(
        self, segments: Sequence[int], lexemes: Iterable[str]
    ) -> dict[tuple[int, str], bytes]:
        """The postings known of these; b'' where a segment does not have the lexeme."""
        keys = [(segment, lexeme) for lexeme in lexemes for segment in segments]
        with self._lock:
            found = {key: self._postings.get(key) for key in keys}
        return {key: data for key, data in found.items() if data is not None}

    def keep_postings(self, postings: Mapping[tuple[int, str], bytes]) -> None:
        """Remember postings of segments that were seen."""
        with self._lock:
            for key, data in postings.items():
                self._postings.put(key, data, len(data) + _OVERHEAD)

    def gains(self, layout: Layout, lexemes: Iterable[str]) -> dict[str, Gains]:
        """What those lexemes add to scores that were worked out already."""
        with self._lock:
            found = {lexeme: self._gains.get((layout, lexeme)) for lexeme in lexemes}
        return {lexeme: gains for lexeme, gains in found.items() if gains is not None}

    def keep_gains(self, layout: Layout, gains: Mapping[str, Gains]) -> None:
        """Remember what lexemes add to scores."""
        with self._lock:
            for lexeme, found in gains.items():
                weight = found.slots.nbytes + found.scores.nbytes + _OVERHEAD
                self._gains.put((layout, lexeme), found, weight)

    def vector(self, name: CollectionName, generation_id: int, question: str) -> Vector | None:
        """The vector that a question of that collection had under the generation's model. None of
        another collection's: an answer that comes fast does not say that another tenant asked the
        same question."""
        with self._lock:
            return self._vectors.get((name, generation_id, question))

    def keep_vector(
        self, name: CollectionName, generation_id: int, question: str, vector: Vector
    ) -> None:
        """Remember the vector of a question."""
        vector.setflags(write=False)
        weight = vector.nbytes + 4 * len(question) + _OVERHEAD
        with self._lock:
            self._vectors.put((name, generation_id, question), vector, weight)
