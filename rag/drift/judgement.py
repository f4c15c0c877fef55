"""What drifted and how much: tests of a reference against recent members, judged together. A claim
fails only when the change is significant and large enough to matter. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from rag.drift import statistics
from rag.drift.plot import histograms
from rag.drift.statistics import Vectors

# of a whole check, however many tests it makes: half of the one false alarm in a hundred that may
# be, for what is measured varies
ALPHA = 0.005

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
    """All tests of one check, and a picture (SVG); without tests there were too few members to
    judge by."""

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
    found = _together([_moved(reference.vectors, recent.vectors)])
    return Judgement(len(reference), len(recent), found, _distances(reference, recent))


def topic_drift(reference: Sample, recent: Sample) -> Judgement:
    """Whether more is far from every cluster of the reference than was."""
    rise = statistics.share_test(*statistics.far_shares(reference.vectors, recent.vectors))
    found = _together([Measure("far_share_rise", *rise, 0.05, 0.3)])
    return Judgement(len(reference), len(recent), found, _distances(reference, recent))


def mix_drift(reference: Sample, recent: Sample) -> Judgement:
    """Whether types, languages or lengths of documents have changed."""
    types = statistics.mix_test(reference.media_types, recent.media_types)
    languages = statistics.mix_test(reference.languages, recent.languages)
    lengths = statistics.length_test(_scaled(reference.words), _scaled(recent.words))
    found = _together(
        [
            Measure("types_psi", *types, 0.1, 0.25),
            Measure("languages_psi", *languages, 0.1, 0.25),
            Measure("lengths_ks", *lengths, 0.2, 0.4),
        ]
    )
    words = [np.log10(np.array(side.words, dtype=float) + 1) for side in (reference, recent)]
    plot = histograms("length in words (powers of ten)", *words)
    return Judgement(len(reference), len(recent), found, plot)


def query_drift(reference: Vectors, recent: Vectors, documents: Vectors) -> Judgement:
    """Whether other things are asked, or things farther from what the documents say."""
    before, after = (statistics.gaps(side, documents) for side in (reference, recent))
    wider = float(np.median(after) - np.median(before))
    p_value = statistics.length_test(before.tolist(), after.tolist())[1]
    found = _together([_moved(reference, recent), Measure("gap_rise", wider, p_value, 0.05, 0.15)])
    plot = histograms("distance from the question to the nearest document", before, after)
    return Judgement(len(reference), len(recent), found, plot)


def outcome_drift(reference: Asked, recent: Asked) -> Judgement:
    """Whether more questions find nothing, little or no answer, or displease."""
    found = _together(
        [
            Measure(f"{name}_rise", *statistics.share_test(*shares), 0.1, 0.3)
            for name, shares in _shares(reference, recent).items()
        ]
    )
    return Judgement(reference.questions, recent.questions, found)


def _scaled(words: Sequence[int]) -> list[float]:
    """Lengths in steps of two fifths: forms that are all alike but for a word are alike."""
    return [float(np.round(2 * np.log2(count + 1))) for count in words]


class Measure(NamedTuple):
    """A test before its p-value is corrected."""

    name: str
    value: float
    p_value: float
    warn: float
    fail: float


def _moved(reference: Vectors, recent: Vectors) -> Measure:
    p_value = statistics.energy_test(reference, recent)[1]
    # the classifier costs more than the test, and only sizes what the test has found
    size = statistics.domain_auc(reference, recent) if p_value < ALPHA else 0.5
    return Measure("domain_auc", size, p_value, 0.6, 0.85)


def _shares(reference: Asked, recent: Asked) -> dict[str, tuple[tuple[int, int], tuple[int, int]]]:
    def of(name: str, total: str) -> tuple[tuple[int, int], tuple[int, int]]:
        before, after = (
            (getattr(side, name), getattr(side, total)) for side in (reference, recent)
        )
        return before, after

    return {
        "zero_hit": of("zero_hit", "questions"),
        "unknown": of("unknown", "questions"),
        "low_score": of("low_score", "questions"),
        "thumbs_down": of("thumbs_down", "judged"),
    }


def _together(measures: Sequence[Measure]) -> tuple[Finding, ...]:
    corrected = statistics.holm([item.p_value for item in measures])
    return tuple(
        Finding(item.name, item.value, item.warn, item.fail, p_value)
        for item, p_value in zip(measures, corrected, strict=True)
    )


def _distances(reference: Sample, recent: Sample) -> str:
    centre = reference.vectors.mean(axis=0)
    return histograms(
        "distance from the centre of the reference",
        *(np.linalg.norm(side.vectors - centre, axis=1) for side in (reference, recent)),
    )
