"""Metrics have their standard values on examples that can be worked out by hand."""

from __future__ import annotations

import math

import pytest

from rag.errors import ConfigurationError
from rag.evaluation.dataset import Item, Relevant
from rag.evaluation.metrics import (
    FAILED,
    RANKING,
    TEXT,
    averages,
    check_metrics,
    is_found,
    ranking_scores,
    text_scores,
)  # fmt: skip
from rag_assets_tests.evaluation.hits import hit
from rag_assets_tests.fakes_embed import FakeEmbedder


def ranking(item: Item, *names: str) -> dict[str, float]:
    hits = [hit(name) for name in names]
    return {score.metric: score.value for score in ranking_scores(item, hits, RANKING)}


TWO = Item("k", "Q", relevant=(Relevant("a.txt"), Relevant("b.txt")))


def test_the_second_and_fifth_of_two_relevant_documents() -> None:
    found = ranking(TWO, "x", "a.txt", "y", "z", "b.txt")
    ideal = 1 + 1 / math.log2(3)
    gained = 1 / math.log2(3) + 1 / math.log2(6)
    assert found == pytest.approx(
        {"hit@4": 1, "hit@10": 1, "recall@4": 0.5, "recall@10": 1, "MRR": 0.5,
         "nDCG@10": gained / ideal}
    )  # fmt: skip


def test_nothing_found_is_zero_and_not_an_error() -> None:
    assert set(ranking(TWO).values()) == {0.0}
    assert set(ranking(TWO, "x", "y").values()) == {0.0}


def test_several_chunks_of_one_document_count_once() -> None:
    assert ranking(TWO, "a.txt", "a.txt", "a.txt", "a.txt", "b.txt")["nDCG@10"] == 1.0


def test_grades_weigh() -> None:
    graded = Item("k", "Q", relevant=(Relevant("a.txt", None, 3), Relevant("b.txt", None, 1)))
    assert ranking(graded, "a.txt", "b.txt")["nDCG@10"] == 1.0
    assert ranking(graded, "b.txt", "a.txt")["nDCG@10"] < 1.0


def test_a_passage_counts_when_the_hit_holds_its_text() -> None:
    item = Item("k", "Q", relevant=(Relevant("a.txt", "The  Wind is measured"),))
    right = hit("a.txt", "Here the wind is measured daily.")
    wrong = hit("a.txt", "Rain is measured.")
    assert [s.value for s in ranking_scores(item, [wrong, right], ["MRR"])] == [0.5]
    assert [s.value for s in ranking_scores(item, [wrong], ["MRR"])] == [0.0]


@pytest.mark.parametrize("name", ["a.txt", "a", "s3://bucket/a.txt"])
def test_a_document_is_known_by_name_stem_or_address(name: str) -> None:
    assert is_found(Relevant(name), hit("a.txt"))
    assert not is_found(Relevant(name), hit("aa.txt"))


def test_a_row_of_a_file_is_known_by_its_own_name() -> None:
    assert is_found(Relevant("4983"), hit("corpus.csv#4983"))
    assert not is_found(Relevant("4983"), hit("corpus.csv#49"))


def test_a_question_that_says_nothing_of_passages_has_no_ranking() -> None:
    assert ranking_scores(Item("k", "Q", "A"), [hit("a")], RANKING) == []


def texts(answer: str | None, expected: str = "The mast is 12 m high.") -> dict[str, float]:
    scores = text_scores(Item("k", "Q", expected), answer, TEXT, FakeEmbedder())
    return {score.metric: score.value for score in scores}


@pytest.mark.slow
def test_the_expected_answer_itself_scores_one() -> None:
    assert texts("The mast is 12 m high.") == pytest.approx(dict.fromkeys(TEXT, 1.0), abs=1e-5)


@pytest.mark.slow
def test_text_metrics_on_a_worked_example() -> None:
    found = texts("the cat sat", "the cat sat down")
    assert found["ExactMatch"] == found["StringPresence"] == 0.0
    assert found["NonLLMStringSimilarity"] == pytest.approx(1 - 5 / 16)
    assert found["RougeScore"] == pytest.approx(2 * 1 * 0.75 / 1.75)
    assert found["BleuScore"] == 0.0  # no four words in a row
    assert 0 < texts("the cat sat on the mat", "the cat sat on a mat")["BleuScore"] < 1
    assert 0.5 < found["SemanticSimilarity"] < 1
    assert texts("It says: the cat", "the cat")["StringPresence"] == 1.0


def test_a_missing_answer_fails_with_a_reason_and_stays_out_of_the_mean() -> None:
    scores = text_scores(Item("k", "Q", "A"), " ", ["ExactMatch"], None)
    assert [(score.value, score.reason) for score in scores] == [(FAILED, "no answer")]
    assert averages({"ExactMatch": [FAILED, 1.0, 0.0], "MRR": [FAILED]}) == {"ExactMatch": 0.5}


def test_an_unknown_metric_is_named() -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_metrics(["MRR", "Vibes"])
    assert caught.value.code == "unknown_metric"
    assert "Vibes" in caught.value.message
