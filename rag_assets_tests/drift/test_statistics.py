"""The tests find what is there, and nothing where nothing is."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from rag.drift import statistics
from rag.drift.judgement import (
    ALPHA,
    Asked,
    Finding,
    Sample,
    embedding_drift,
    mix_drift,
    outcome_drift,
    query_drift,
    topic_drift,
)
from rag.drift.plot import histograms
from rag.drift.statistics import Vectors


def cloud(seed: int, count: int, centre: int = 0) -> Vectors:
    """Unit vectors around an axis of their own."""
    random = np.random.default_rng(seed)
    made = random.normal(scale=0.2, size=(count, 32))
    made[:, centre] += 1
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def sample(vectors: Vectors, *, kind: str = "pdf", words: int = 100) -> Sample:
    count = len(vectors)
    lengths = np.random.default_rng(7).poisson(words, count)
    return Sample(vectors, (kind,) * count, ("en",) * count, tuple(lengths.tolist()))


def test_the_energy_distance_is_the_plain_sum_of_its_definition() -> None:
    x, y = cloud(1, 20), cloud(2, 13, centre=3)

    def mean(a: Vectors, b: Vectors) -> float:
        return float(np.linalg.norm(a[:, None] - b[None, :], axis=2).mean())

    plain = (2 * mean(x, y) - mean(x, x) - mean(y, y)) / (2 * mean(x, y))
    value, p_value = statistics.energy_test(x, y)

    assert value == pytest.approx(plain, abs=1e-4)
    assert p_value == pytest.approx(1 / 1000)


@pytest.mark.slow
def test_p_values_of_alike_samples_are_spread_evenly() -> None:
    found = [statistics.energy_test(cloud(n, 30), cloud(n + 500, 30))[1] for n in range(60)]

    assert 0.3 < np.mean(found) < 0.7
    assert np.mean([value < 0.1 for value in found]) < 0.25


def test_holm_corrects_in_steps() -> None:
    assert statistics.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert statistics.holm([0.9, 0.8]) == [1.0, 1.0]
    assert statistics.holm([]) == []


@pytest.mark.parametrize(
    ("before", "after", "psi"),
    [
        (["a"] * 50 + ["b"] * 50, ["a"] * 50 + ["b"] * 50, 0.0),
        (["a"] * 50 + ["b"] * 50, ["a"] * 90 + ["b"] * 10, 0.879),
        (["a"] * 50, ["a"] * 50, 0.0),
        (["a"] * 50, ["b"] * 50, 13.8),  # nothing in common
    ],
)
def test_the_population_stability_index(before: list[str], after: list[str], psi: float) -> None:
    assert statistics.mix_test(before, after)[0] == pytest.approx(psi, abs=0.02)


def test_many_rare_categories_are_one() -> None:
    before = ["pdf"] * 95 + [f"x/{n}" for n in range(5)]
    after = ["pdf"] * 95 + [f"y/{n}" for n in range(5)]

    assert statistics.mix_test(before, after) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("value", "p_value", "state"),
    [(0.9, 0.001, "far"), (0.7, 0.001, "drifted"), (0.9, ALPHA, "alike"), (0.6, 1e-9, "alike")],
)
def test_a_finding_is_both_significant_and_large(value: float, p_value: float, state: str) -> None:
    assert Finding("x", value, 0.65, 0.85, p_value).state == state


@pytest.mark.slow
def test_alike_documents_are_alike() -> None:
    before, after = sample(cloud(1, 300)), sample(cloud(2, 150))

    for judge in (embedding_drift, topic_drift, mix_drift):
        assert judge(before, after).state == "alike"


@pytest.mark.slow
def test_a_new_topic_moves_the_vectors_and_leaves_the_clusters() -> None:
    before = sample(cloud(1, 300))
    after = sample(np.concatenate([cloud(2, 75), cloud(3, 75, centre=9)]))

    assert embedding_drift(before, after).state != "alike"
    found = topic_drift(before, after)
    assert found.state == "far"
    assert found.findings[0].value == pytest.approx(0.5, abs=0.1)
    assert mix_drift(before, after).state == "alike"


@pytest.mark.slow
def test_another_mix_of_documents_is_drift_of_the_mix_alone() -> None:
    before, after = sample(cloud(1, 300)), sample(cloud(2, 150), kind="html", words=400)

    assert embedding_drift(before, after).state == "alike"
    states = {item.name: item.state for item in mix_drift(before, after).findings}
    assert states == {"types_psi": "far", "languages_psi": "alike", "lengths_ks": "far"}


@pytest.mark.slow
def test_questions_that_leave_the_documents_are_drift() -> None:
    corpus, asked = cloud(1, 200), cloud(2, 100)

    assert query_drift(asked, cloud(3, 100), corpus).state == "alike"
    found = query_drift(asked, cloud(4, 100, centre=9), corpus)
    assert {item.name: item.state for item in found.findings} == {
        "domain_auc": "far",
        "gap_rise": "far",
    }


@pytest.mark.slow
def test_answers_that_get_worse_are_drift_and_better_ones_are_not() -> None:
    good = Asked(200, zero_hit=2, unknown=4, low_score=10, judged=60, thumbs_down=3)
    bad = Asked(200, zero_hit=60, unknown=5, low_score=12, judged=60, thumbs_down=33)

    assert outcome_drift(bad, good).state == "alike"
    states = {item.name: item.state for item in outcome_drift(good, bad).findings}
    assert states["zero_hit_rise"] == "drifted"
    assert states["thumbs_down_rise"] == "far"
    assert states["unknown_rise"] == states["low_score_rise"] == "alike"
    assert outcome_drift(good, Asked(0, 0, 0, 0, 0, 0)).state == "alike"


def test_the_plot_shows_both_on_one_axis() -> None:
    plot = ElementTree.fromstring(histograms("metres", np.zeros(10), np.ones(20)))

    texts = [text.text for text in plot.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["reference (10)", "recent (20)", "0", "1", "metres"]
    *_legend, first, last = plot.iter("{http://www.w3.org/2000/svg}rect")
    assert float(first.get("x", 0)) < 20
    assert float(last.get("x", 0)) > 450
    assert first.get("height") == last.get("height")
