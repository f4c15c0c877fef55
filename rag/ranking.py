"""Ranking: BM25 over postings and the fusion of ranked lists. Pure numbers, no database."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# one posting: the row's slot in its segment, how often the word is in it, how long the row is
ENTRY = np.dtype([("slot", "<u4"), ("times", "<u2"), ("length", "<u2")])

K1 = 1.5
B = 0.75
FUSION = 60  # reciprocal rank fusion, Cormack et al. 2009

Place = tuple[int, int]  # segment, slot
Spans = Sequence[tuple[int, int]]  # [first, end) of slots
Ranked = list[tuple[Place, float, dict[str, int]]]  # place, score, rank in each list


@dataclass(frozen=True, slots=True)
class Segment:
    """The slots that one publish gave out: how many, which of them are dead, how many live rows
    they hold and how many words."""

    id: int
    slots: int
    rows: int
    words: int
    dead: Spans = ()


@dataclass(frozen=True, slots=True)
class Scored:
    """A row's place in a ranked list."""

    place: Place
    score: float


class Bm25:
    """The BM25 scores (Lucene's form) of all rows of one generation for one question. Only what is
    live counts."""

    def __init__(
        self,
        segments: Iterable[Segment],
        postings: Mapping[str, Sequence[tuple[int, bytes]]],
        permitted: Mapping[int, Spans] | None = None,
    ) -> None:
        """`postings` are (segment, entries) by word; `permitted` says which slots may be found; it
        changes no word's weight."""
        self._segments = list(segments)
        self._base = _bases(self._segments)
        self._slots = sum(segment.slots for segment in self._segments)
        self._rows = sum(segment.rows for segment in self._segments)
        words = sum(segment.words for segment in self._segments)
        self._mean_length = max(words / self._rows, 1.0) if self._rows else 1.0
        self._live = self._mask(
            {segment.id: segment.dead for segment in self._segments}, start=True
        )
        self._scores = np.zeros(self._slots, np.float64)
        for parts in postings.values():
            self._add(self._scores, parts)
        for allowed in (self._live, None if permitted is None else self._mask(permitted)):
            if allowed is not None:
                self._scores[~allowed] = 0.0

    def best(self, depth: int) -> list[Scored]:
        """The `depth` best rows that hold a word of the question."""
        return self._top(self._scores, depth)

    def score(self, place: Place) -> float:
        """One row's score; 0 when it holds no word of the question."""
        segment, slot = place
        # a publish that came after our look may show rows that we do not know
        at = self._base.get(segment, self._slots) + slot
        return float(self._scores[at]) if at < self._slots else 0.0

    def _add(self, scores: NDArray[np.float64], parts: Sequence[tuple[int, bytes]]) -> None:
        known = [(segment, data) for segment, data in parts if segment in self._base]
        if not known:
            return
        entries = np.frombuffer(b"".join(data for _, data in known), ENTRY)
        slots = entries["slot"].astype(np.int64)
        if len(self._base) > 1:
            counts = [len(data) // ENTRY.itemsize for _, data in known]
            slots += np.repeat([self._base[segment] for segment, _ in known], counts)
        rows = len(slots) if self._live is None else int(np.count_nonzero(self._live[slots]))
        idf = math.log1p((self._rows - rows + 0.5) / (rows + 0.5))
        times = entries["times"].astype(np.float64)
        norm = K1 * (1 - B) + (K1 * B / self._mean_length) * entries["length"]
        scores[slots] += (idf * (K1 + 1)) * times / (times + norm)

    def _mask(self, spans: Mapping[int, Spans], *, start: bool = False) -> NDArray[np.bool_] | None:
        """A flag per slot: `start`, and the contrary within the spans; None when all are true."""
        if start and not any(spans.values()):
            return None
        found = np.full(self._slots, start)
        for segment, ranges in spans.items():
            base = self._base.get(segment)
            if base is not None:
                for first, end in ranges:
                    found[base + first : base + end] = not start
        return found

    def _top(self, scores: NDArray[np.float64], depth: int) -> list[Scored]:
        found = np.flatnonzero(scores)
        if len(found) > depth:
            found = found[np.argpartition(scores[found], -depth)[-depth:]]
        order = found[np.lexsort((found, -scores[found]))]
        starts = np.array(list(self._base.values()))
        at = np.searchsorted(starts, order, side="right") - 1
        ids = list(self._base)
        return [
            Scored((ids[which], int(slot - starts[which])), float(scores[slot]))
            for which, slot in zip(at.tolist(), order.tolist(), strict=True)
        ]


def _bases(segments: Sequence[Segment]) -> dict[int, int]:
    """Where each segment's slots begin when all are laid end to end; empty ones have no place."""
    found: dict[int, int] = {}
    at = 0
    for segment in segments:
        if segment.slots:
            found[segment.id] = at
            at += segment.slots
    return found


def fuse_by_score(
    lists: Mapping[str, Sequence[Scored]], scores: Mapping[str, Callable[[Place], float]]
) -> Ranked:
    """One list of several: the mean of each row's scores, each as a share of its list's best.

    `scores` tells a row's score in a list that it is too far down to be in."""
    bests = {name: found[0].score if found else 0.0 for name, found in lists.items()}
    ranks = _ranks(lists)
    fused = []
    for place, found in ranks.items():
        shares = [max(scores[name](place), 0.0) / best for name, best in bests.items() if best > 0]
        fused.append((place, sum(shares) / len(lists), found))
    return sorted(fused, key=_best_first)


def fuse_by_rank(lists: Mapping[str, Sequence[Scored]]) -> Ranked:
    """One list of several by reciprocal rank: the sum of 1 / (60 + rank)."""
    fused = [
        (place, sum(1.0 / (FUSION + rank) for rank in found.values()), found)
        for place, found in _ranks(lists).items()
    ]
    return sorted(fused, key=_best_first)


def ranked(name: str, found: Sequence[Scored]) -> Ranked:
    """A single list, which keeps its own scores."""
    return [(item.place, item.score, {name: rank}) for rank, item in enumerate(found, start=1)]


def _ranks(lists: Mapping[str, Sequence[Scored]]) -> dict[Place, dict[str, int]]:
    """Each row's place in each list that has it."""
    ranks: dict[Place, dict[str, int]] = {}
    for name, found in lists.items():
        for rank, item in enumerate(found, start=1):
            ranks.setdefault(item.place, {})[name] = rank
    return ranks


def _best_first(item: tuple[Place, float, dict[str, int]]) -> tuple[float, Place]:
    return (-item[1], item[0])
