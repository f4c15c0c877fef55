"""The gate's judgement: real drops stop a candidate, chance does not."""

from __future__ import annotations

import numpy as np
import pytest

from rag.evaluation.bootstrap import Rule, compare, paired

RULE = Rule("nDCG@10", drop=0.02)


def scores(count: int, mean_drop: float, seed: int) -> tuple[list[float], list[float]]:
    """Live and candidate scores of `count` questions that differ as two models' do."""
    random = np.random.default_rng(seed)
    truth = random.beta(2, 1, count)
    moves = random.normal(0, 0.2, (2, count)) * (random.random((2, count)) < 0.4)
    live, candidate = np.clip(truth + moves - [[0], [mean_drop]], 0, 1)
    return live.tolist(), candidate.tolist()


def test_equal_scores_pass() -> None:
    live, _ = scores(50, 0, 1)
    verdict = compare(live, live, RULE, 30)
    assert verdict.passed
    assert (verdict.difference, verdict.p_worse) == (0, 0)


def test_a_large_drop_stops_and_says_how_large() -> None:
    live, _ = scores(100, 0, 1)
    verdict = compare(live, [max(0, each - 0.2) for each in live], RULE, 30)
    assert not verdict.passed
    assert "drops by 0.1" in verdict.reason
    assert verdict.high < 0
    assert verdict.p_worse == 1.0


def test_too_few_questions_judge_nothing() -> None:
    verdict = compare([1.0] * 29, [1.0] * 29, RULE, 30)
    assert not verdict.passed
    assert "29 questions are too few" in verdict.reason
    assert not compare([], [], RULE, 30).passed


def test_the_floor_holds_however_bad_the_live_one_is() -> None:
    assert not compare([0.2] * 40, [0.4] * 40, Rule("MRR", floor=0.5), 30).passed
    assert compare([0.2] * 40, [0.6] * 40, Rule("MRR", floor=0.5), 30).passed


def test_a_drop_within_what_is_allowed_passes_though_it_is_certain() -> None:
    verdict = compare([0.8] * 40, [0.79] * 40, RULE, 30)
    assert verdict.passed
    assert verdict.p_worse == 1.0


def test_the_same_scores_give_the_same_verdict() -> None:
    live, candidate = scores(60, 0.05, 3)
    assert compare(live, candidate, RULE, 30) == compare(live, candidate, RULE, 30)


@pytest.mark.slow
def test_chance_stops_one_in_twenty_at_most_and_real_drops_are_found() -> None:
    def stopped(drop: float, count: int) -> float:
        verdicts = [compare(*scores(count, drop, seed), RULE, 30).passed for seed in range(200)]
        return verdicts.count(False) / len(verdicts)

    assert stopped(0.0, 60) <= 0.10
    assert stopped(0.10, 60) >= 0.90


def test_a_question_the_candidate_fails_counts_as_zero() -> None:
    live = {"a": 1.0, "b": -1.0, "c": 0.5, "d": 1.0}
    candidate = {"a": -1.0, "b": 1.0, "c": 0.25}
    assert paired(live, candidate, -1.0) == ([1.0, 0.5], [0.0, 0.25])


def test_unpaired_scores_are_refused() -> None:
    with pytest.raises(ValueError, match="same questions"):
        compare([1.0], [1.0, 1.0], RULE, 1)
