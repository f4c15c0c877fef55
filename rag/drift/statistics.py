"""Two-sample statistics over numpy arrays: is what came last like what was there before? Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Numbers = NDArray[np.float64]

_ROUNDS = 999  # permutations: p-values in steps of 0.001
_PSI_FLOOR = 1e-3  # a share of zero has no logarithm
_FEWEST = 5  # categories with fewer members are taken together


def energy_test(reference: Vectors, recent: Vectors, seed: int = 0) -> tuple[float, float]:
    """Energy distance as a share of the mean distance between the two (0 alike, 1 apart), and its
    permutation p-value.

    Székely and Rizzo, "Energy statistics: a class of statistics based on distances", J. Stat.
    Plann. Inference 143 (2013)."""
    both = np.concatenate([reference, recent]).astype(np.float32)
    squares = (both * both).sum(axis=1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares[None, :] - 2 * both @ both.T, 0))
    count, first = len(both), len(reference)
    shuffle = np.random.default_rng(seed)
    sides = np.zeros((count, _ROUNDS + 1), dtype=np.float32)
    sides[:first, 0] = 1
    for column in range(1, _ROUNDS + 1):
        sides[shuffle.permutation(count)[:first], column] = 1
    statistics, across = _energies(distances, sides, first, count - first)
    p_value = float((statistics >= statistics[0] - 1e-9).mean())  # the observed one counts, too
    return max(0.0, float(statistics[0] / (2 * across[0]))), p_value


def _energies(
    distances: Vectors, sides: Vectors, first: int, second: int
) -> tuple[Numbers, Numbers]:
    """Energy distance of each column's split, and the mean distance across it."""
    rows = distances @ sides
    inside = (sides * rows).sum(axis=0, dtype=np.float64)
    total = float(distances.sum(dtype=np.float64))
    across = rows.sum(axis=0, dtype=np.float64) - inside
    outside = total - inside - 2 * across
    mean_across = across / (first * second)
    return 2 * mean_across - inside / first**2 - outside / second**2, mean_across


def domain_auc(reference: Vectors, recent: Vectors, seed: int = 0) -> float:
    """How well a linear classifier tells the two apart on held-out members: 0.5 not at all, 1
    always.

    Lopez-Paz and Oquab, "Revisiting classifier two-sample tests", ICLR 2017."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    data = np.concatenate([reference, recent])
    labels = np.repeat([0, 1], [len(reference), len(recent)])
    model = LogisticRegression(C=1.0, class_weight="balanced", max_iter=200)
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    scores = cross_val_predict(model, data, labels, cv=folds, method="decision_function")
    return float(roc_auc_score(labels, scores))


def far_shares(
    reference: Vectors, recent: Vectors, seed: int = 0
) -> tuple[tuple[int, int], tuple[int, int]]:
    """(far, all) of held-out reference members and of recent ones: far is farther from every
    cluster of the reference than 95 % of the held-out ones."""
    from sklearn.cluster import KMeans

    order = np.random.default_rng(seed).permutation(len(reference))
    seen, held_out = reference[order[::2]], reference[order[1::2]]
    clusters = KMeans(max(2, min(16, len(seen) // 12)), n_init=1, random_state=seed).fit(seen)
    own, new = (clusters.transform(side).min(axis=1) for side in (held_out, recent))
    limit = float(np.quantile(own, 0.95))
    return (int((own > limit).sum()), len(own)), (int((new > limit).sum()), len(new))


def share_test(reference: tuple[int, int], recent: tuple[int, int]) -> tuple[float, float]:
    """By how much the recent share is larger, and Fisher's exact p-value for that."""
    from scipy.stats import fisher_exact

    (few, count), (many, total) = reference, recent
    if not count or not total:
        return 0.0, 1.0
    table = [[many, total - many], [few, count - few]]
    return many / total - few / count, float(fisher_exact(table, alternative="greater").pvalue)


def mix_test(reference: Sequence[str], recent: Sequence[str]) -> tuple[float, float]:
    """Population stability index of two mixes of categories (0.1 some, 0.25 much change), and the
    p-value of Pearson's chi-squared test; rare categories are taken together.

    Yurdakul, "Statistical properties of population stability index", 2018."""
    from scipy.stats import chi2_contingency

    before, after = _counted(reference, recent)
    if len(before) < 2:
        return 0.0, 1.0
    p_value = float(chi2_contingency(np.array([before, after])).pvalue)
    shares = [np.maximum(side / side.sum(), _PSI_FLOOR) for side in (before, after)]
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum()), p_value


def _counted(reference: Sequence[str], recent: Sequence[str]) -> tuple[Numbers, Numbers]:
    before, after = Counter(reference), Counter(recent)
    common = [name for name in before | after if before[name] + after[name] >= 2 * _FEWEST]
    rows = [(before[name], after[name]) for name in common]
    rest = (len(reference) - sum(row[0] for row in rows), len(recent) - sum(r[1] for r in rows))
    if sum(rest):
        rows.append(rest)
    counts = np.array(rows, dtype=np.float64).reshape(-1, 2)
    return counts[:, 0], counts[:, 1]


def length_test(reference: Sequence[float], recent: Sequence[float]) -> tuple[float, float]:
    """Kolmogorov-Smirnov distance of two samples of numbers, and its p-value."""
    from scipy.stats import ks_2samp

    found = ks_2samp(list(reference), list(recent))
    return float(found.statistic), float(found.pvalue)


def gaps(questions: Vectors, documents: Vectors) -> Numbers:
    """How far each question is from the nearest document: 1 less the cosine of unit vectors."""
    nearest: Numbers = 1.0 - (questions @ documents.T).max(axis=1).astype(np.float64)
    return nearest


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for being several.

    Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Stat. 6 (1979)."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, p_values[index] * (len(p_values) - rank)))
        corrected[index] = highest
    return corrected
