"""Whether one configuration is worse than another, judged on the same questions: pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000
CONFIDENCE = 0.95
_AT_A_TIME = 2_000_000  # drawn numbers


@dataclass(frozen=True, slots=True)
class Rule:
    """What a candidate must hold in one metric: at least `floor`, and no more than `drop` below
    the live one."""

    metric: str
    drop: float = 0.02
    floor: float | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric of two configurations over the same questions. `low` to `high` holds the
    difference with 95 % confidence; `p_worse` is the bootstrap's probability of a drop."""

    metric: str
    questions: int
    live: float
    candidate: float
    difference: float
    low: float
    high: float
    p_worse: float
    passed: bool
    reason: str


def compare(
    live: Sequence[float], candidate: Sequence[float], rule: Rule, least: int, seed: int = 0
) -> Comparison:
    """The candidate against the live one on the same questions, in the same order.

    It fails with fewer than `least` questions, below the floor, or when it drops by more than is
    allowed and the paired bootstrap says with 95 % confidence that it is a drop: what chance alone
    explains stops nothing."""
    ours, theirs = np.asarray(candidate, float), np.asarray(live, float)
    if len(ours) != len(theirs):
        raise ValueError("paired scores must be of the same questions")
    if len(ours) < max(least, 1):
        reason = f"{len(ours)} questions are too few to judge: {least} are needed"
        return Comparison(rule.metric, len(ours), *_means(theirs, ours), 0, 0, 0, False, reason)
    means = resampled_means(ours - theirs, seed)
    tail = (1 - CONFIDENCE) / 2
    low, high = (float(each) for each in np.quantile(means, [tail, 1 - tail]))
    p_worse = float((means < 0).mean())
    live_mean, mean, difference = _means(theirs, ours)
    reason = ""
    if rule.floor is not None and mean < rule.floor:
        reason = f"{mean:.3f} is below the floor of {rule.floor:.3f}"
    elif -difference > rule.drop and p_worse >= CONFIDENCE:
        reason = f"it drops by {-difference:.3f}, more than {rule.drop:.3f}, and not by chance"
    return Comparison(
        rule.metric, len(ours), live_mean, mean, difference, low, high, p_worse, not reason, reason
    )


def resampled_means(differences: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Means of the differences over questions drawn with replacement: the same for one seed."""
    random = np.random.default_rng(seed)
    count = len(differences)
    rows = max(1, _AT_A_TIME // count)
    drawn = [
        differences[random.integers(0, count, (min(rows, RESAMPLES - at), count))].mean(axis=1)
        for at in range(0, RESAMPLES, rows)
    ]
    return np.concatenate(drawn)


def _means(live: NDArray[np.float64], candidate: NDArray[np.float64]) -> tuple[float, float, float]:
    if not len(live):
        return 0.0, 0.0, 0.0
    return float(live.mean()), float(candidate.mean()), float((candidate - live).mean())


def paired(
    live: Mapping[str, float], candidate: Mapping[str, float], failed: float
) -> tuple[list[float], list[float]]:
    """The scores of both over the questions that have them; one that failed in the candidate only
    counts as 0 there, one that failed in the live one is left out."""
    keys = sorted(key for key in live if live[key] != failed and key in candidate)
    theirs = [live[key] for key in keys]
    ours = [0.0 if candidate[key] == failed else candidate[key] for key in keys]
    return theirs, ours
