"""Ranking: BM25 over postings and the fusion of ranked lists. Pure numbers, no database."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

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


class Scored(NamedTuple):
    """A row's place in a ranked list."""

    place: Place
    score: float


class Gains(NamedTuple):
    """What one word adds to the scores of rows: their places, laid end to end, and how much."""

    slots: NDArray[np.intp]
    scores: NDArray[np.float64]


class Layout:
    """The slots of one generation's segments laid end to end, and what of them is live: only that
    counts."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        self.base = _bases(segments)
        self.slots = sum(segment.slots for segment in segments)
        self.rows = sum(segment.rows for segment in segments)
        words = sum(segment.words for segment in segments)
        self._mean_length = max(words / self.rows, 1.0) if self.rows else 1.0
        dead = {segment.id: segment.dead for segment in segments}
        self._live = ~self.mask(dead) if any(dead.values()) else None

    def gains(self, parts: Sequence[tuple[int, bytes]]) -> Gains:
        """What a word adds, of its postings by segment (BM25 in Lucene's form)."""
        known = [(segment, data) for segment, data in parts if segment in self.base]
        entries = np.frombuffer(b"".join(data for _, data in known), ENTRY)
        counts = [len(data) // ENTRY.itemsize for _, data in known]
        slots = entries["slot"].astype(np.intp)
        slots += np.repeat(np.array([self.base[segment] for segment, _ in known], np.intp), counts)
        if self._live is not None:
            is_live = self._live[slots]
            slots, entries = slots[is_live], entries[is_live]
        idf = math.log1p((self.rows - len(slots) + 0.5) / (len(slots) + 0.5))
        times = entries["times"].astype(np.float64)
        norm = K1 * (1 - B) + (K1 * B / self._mean_length) * entries["length"]
        return Gains(slots, (idf * (K1 + 1)) * times / (times + norm))

    def mask(self, spans: Mapping[int, Spans]) -> NDArray[np.bool_]:
        """A flag per slot, true within the spans."""
        found = np.zeros(self.slots, np.bool_)
        for segment, ranges in spans.items():
            base = self.base.get(segment)
            if base is not None:
                for first, end in ranges:
                    found[base + first : base + end] = True
        return found


class Bm25:
    """The BM25 scores of all live rows of one generation for one question."""

    def __init__(
        self, layout: Layout, gains: Iterable[Gains], permitted: Mapping[int, Spans] | None = None
    ) -> None:
        """`gains` are those of its words; `permitted` says which slots may be found; it changes no
        word's weight."""
        words = list(gains)
        self._base, self._slots = layout.base, layout.slots
        self._scores = np.zeros(layout.slots, np.float64)
        self._slots_of_words = sorted((word.slots for word in words), key=len)
        for slots, scores in words:
            self._scores[slots] += scores  # a word stands once for a row
        if permitted is not None:
            self._scores[~layout.mask(permitted)] = 0.0

    def best(self, depth: int) -> list[Scored]:
        """The `depth` best rows that hold a word of the question."""
        return self._top(self._scores, depth)

    def score(self, place: Place) -> float:
        """One row's score; 0 when it holds no word of the question."""
        segment, slot = place
        # a publish that came after our look may show rows that we do not know
        at = self._base.get(segment, self._slots) + slot
        return float(self._scores[at]) if at < self._slots else 0.0

    def _least(self, depth: int) -> float:
        """A score that at least `depth` rows reach: the rows of a rare word show it, and most rows
        of the frequent ones need not be looked at. 0 when no word has so many."""
        for slots in self._slots_of_words:
            if len(slots) >= depth:
                return float(np.partition(self._scores[slots], -depth)[-depth])
        return 0.0

    def _top(self, scores: NDArray[np.float64], depth: int) -> list[Scored]:
        least = self._least(depth)
        found = np.flatnonzero(scores >= least if least > 0 else scores)
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
