"""An experiment keeps what each question found and goes on where it ended."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from rag.errors import ConflictError, NotFoundError, UnavailableError
from rag.evaluation.dataset import Item, Relevant
from rag.evaluation.experiment import Lab, Method, import_dataset, run_experiment
from rag.evaluation.judge import judged_scores
from rag.evaluation.metrics import FAILED, JUDGED, RANKING, TEXT
from rag.evaluation.synthetic import synthetic_items
from rag.store import evaluation, retention
from rag.store.database import Row
from rag_assets_tests.evaluation.conftest import Speaker
from rag_assets_tests.fakes_embed import FakeEmbedder
from rag_assets_tests.generations.conftest import Changing

pytestmark = pytest.mark.slow

ITEMS = [
    Item(f"q{n}", f"instrument {n}-2 of station {n}", f"Instrument {n}-2 measures wind speed 14.",
         "Wind", (Relevant(f"station-{n}.txt"),))
    for n in range(6)
]  # fmt: skip


def golden(changing: Changing, items: list[Item] = ITEMS) -> Row:
    import_dataset(changing.conn, changing.collection, "golden", items)
    return evaluation.find_dataset(changing.conn, changing.collection.id, "golden")


def test_every_question_is_asked_and_scored(changing: Changing, lab: Lab) -> None:
    ran = run_experiment(lab, changing.name, golden(changing), Method())
    assert re.fullmatch(r"experiment-[0-9A-F]{8}", ran.name)
    assert (ran.items, ran.done_now, ran.generation) == (6, 6, changing.live)
    (row,) = evaluation.experiments(changing.conn, changing.collection.id)
    assert set(row["means"]) == set(RANKING)
    assert row["means"]["MRR"] == 1.0
    assert row["finished_at"] is not None
    assert row["settings"]["recipe"]["embedding_model"] == lab.settings.embedding_model
    results = evaluation.results(changing.conn, ran.id)
    assert {each["hits"][0]["document"] for each in results} == {
        f"station-{n}.txt" for n in range(6)
    }


def test_an_experiment_that_was_killed_half_way_does_only_what_is_missing(
    changing: Changing, lab: Lab
) -> None:
    dataset = golden(changing)

    def kill(done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_experiment(lab, changing.name, dataset, Method(), progress=kill)
    (row,) = evaluation.experiments(changing.conn, changing.collection.id)
    assert (row["done"], row["finished_at"]) == (4, None)
    ran = run_experiment(lab, changing.name, dataset, Method(k=3), called=row["name"])
    assert (ran.name, ran.done_before, ran.done_now) == (row["name"], 4, 2)
    again = run_experiment(lab, changing.name, dataset, Method(), called=row["name"])
    assert (again.done_before, again.done_now) == (6, 0)
    results = evaluation.results(changing.conn, ran.id)
    assert len({len(each["hits"]) for each in results}) == 1  # its own method, not the new one


def test_a_missing_experiment_starts_afresh_and_says_so(changing: Changing, lab: Lab) -> None:
    ran = run_experiment(lab, changing.name, golden(changing), Method(), called="mine-0123abcd")
    assert ran.name == "mine-0123abcd"
    assert "starts afresh" in ran.warnings[0]


def test_another_generation_than_the_live_one_can_be_asked(changing: Changing, lab: Lab) -> None:
    candidate = changing.build({"embedding_model": "other"}, is_held=True).generation
    ran = run_experiment(lab, changing.name, golden(changing), Method(), generation=candidate)
    assert ran.generation == candidate != changing.live
    assert evaluation.experiments(changing.conn, changing.collection.id)[0]["means"]["MRR"] == 1.0
    assert changing.engines["other"].calls > 0


def test_answers_are_scored_too(changing: Changing, lab: Lab) -> None:
    ran = run_experiment(lab, changing.name, golden(changing), Method(metrics=TEXT))
    first = evaluation.results(changing.conn, ran.id)[0]
    assert "Instrument 0-2" in first["answer"]
    assert set(first["scores"]) == set(TEXT)
    assert first["scores"]["SemanticSimilarity"] > 0.3


def test_a_metric_that_fails_is_minus_one_with_its_reason(changing: Changing, lab: Lab) -> None:
    ran = run_experiment(lab, changing.name, golden(changing), Method(metrics=("Faithfulness",)))
    first = evaluation.results(changing.conn, ran.id)[0]
    assert first["scores"] == {"Faithfulness": FAILED}
    assert "RAG_LLM_BASE_URL" in first["reasons"]["Faithfulness"]
    assert evaluation.experiments(changing.conn, changing.collection.id)[0]["means"] == {}


def test_a_question_that_fails_stops_no_other(changing: Changing, lab: Lab) -> None:
    class Moody(Speaker):
        def say_or_fail(self, text: str) -> str:
            if "instrument 3-2 of station 3" in text:
                raise UnavailableError("away", code="model_unavailable")
            return "It measures wind [1]."

    moody = Moody(lambda text: "")
    moody.say = moody.say_or_fail
    ran = run_experiment(replace(lab, writer=moody), changing.name, golden(changing),
                         Method(metrics=("ExactMatch", "MRR")))  # fmt: skip
    failed = [row for row in evaluation.results(changing.conn, ran.id) if row["error"]]
    assert [row["key"] for row in failed] == ["q3"]
    assert failed[0]["scores"] == {"ExactMatch": FAILED, "MRR": FAILED}
    assert ran.done_now == 6
    assert moody.closed == 6


def test_a_taken_name_and_a_missing_dataset_are_errors(changing: Changing, lab: Lab) -> None:
    golden(changing)
    with pytest.raises(ConflictError, match="The 'golden' dataset already exists!"):
        golden(changing)
    with pytest.raises(NotFoundError) as caught:
        evaluation.find_dataset(changing.conn, changing.collection.id, "none")
    assert caught.value.code == "dataset_not_found"


def test_an_erased_document_takes_its_questions_and_answers_along(
    changing: Changing, lab: Lab
) -> None:
    rows = evaluation.passages_to_ask(changing.conn, changing.collection.id, 20)
    items = synthetic_items(rows)
    import_dataset(changing.conn, changing.collection, "synthetic", items, is_synthetic=True)
    dataset = evaluation.find_dataset(changing.conn, changing.collection.id, "synthetic")
    ran = run_experiment(lab, changing.name, dataset, Method(metrics=TEXT, k=2))
    uri = changing.source.uri + "station-3.txt"
    before = evaluation.results(changing.conn, ran.id)
    assert any(hit["uri"] == uri for row in before for hit in row["hits"])
    retention.erase(changing.conn, changing.collection, uri)
    after = evaluation.results(changing.conn, ran.id)
    assert 0 < len(after) < len(before)
    assert not any(hit["uri"] == uri for row in after for hit in row["hits"])
    left = evaluation.items(changing.conn, dataset["id"])
    assert left
    assert not any(row["document_id"] is None or "station 3 " in (row["answer"] or "")
                   for row in left)  # fmt: skip


def test_synthetic_questions_are_the_same_each_time_and_find_their_passage(
    changing: Changing, lab: Lab
) -> None:
    rows = evaluation.passages_to_ask(changing.conn, changing.collection.id, 12)
    items = synthetic_items(rows)
    assert items == synthetic_items(rows)
    assert len({row["document_id"] for row in rows[:6]}) == 6
    assert all(item.question not in (item.answer or "") for item in items)
    dataset = golden(changing, items)
    run_experiment(lab, changing.name, dataset, Method())
    means = evaluation.experiments(changing.conn, changing.collection.id)[0]["means"]
    assert means["recall@10"] > 0.9


def test_a_model_asks_where_there_is_one(changing: Changing) -> None:
    rows = evaluation.passages_to_ask(changing.conn, changing.collection.id, 3)
    speaker = Speaker(lambda passage: "What does the instrument measure?")
    items = synthetic_items(rows, speaker)
    assert {item.question for item in items} == {"What does the instrument measure?"}
    assert len(speaker.asked) == len(items) == 3
    assert items[0].metadata == {"made_by": "speaker"}


def judge(*replies: str) -> Speaker:
    left = list(replies)
    return Speaker(lambda text: left.pop(0))


CASE = Item("k", "How high?", "12 m. Steel.")
CLAIMS = '{"claims": ["a", "b"]}'


@pytest.mark.parametrize(
    ("metric", "replies", "value"),
    [
        ("Faithfulness", [CLAIMS, '```json\n{"verdicts": [1, 0]}\n```'], 0.5),
        ("LLMContextRecall", [CLAIMS, '{"verdicts": [1, 1]}'], 1.0),
        ("FactualCorrectness",
         [CLAIMS, '{"claims": ["c"]}', '{"verdicts": [1, 0]}', '{"verdicts": [1]}'], 2 / 3),
        ("LLMContextPrecisionWithoutReference", ['{"verdicts": [0, 1]}'], 0.5),
        ("ResponseRelevancy", ['{"questions": ["How high?"], "is_evasive": false}'], 1.0),
        ("ResponseRelevancy", ['{"questions": ["How high?"], "is_evasive": true}'], 0.0),
    ],
)  # fmt: skip
def test_judged_metrics_follow_the_verdicts(metric: str, replies: list[str], value: float) -> None:
    (score,) = judged_scores(CASE, "12 m high. Wood.", ["p", "q"], [metric], judge(*replies),
                             FakeEmbedder())  # fmt: skip
    assert (score.metric, score.reason) == (metric, None)
    assert score.value == pytest.approx(value, abs=1e-4)


@pytest.mark.parametrize("reply", ["I think so.", "{", '{"claims": "a"}', '{"claims": []}', "[]"])
def test_a_reply_that_is_no_verdict_fails_the_metric(reply: str) -> None:
    (score,) = judged_scores(CASE, "12 m", ["p"], ["Faithfulness"], judge(reply), None)
    assert score.value == FAILED
    assert "can not be used" in (score.reason or "")


def test_a_wrong_number_of_verdicts_fails_the_metric() -> None:
    replies = judge(CLAIMS, '{"verdicts": [1]}')
    (score,) = judged_scores(CASE, "12 m", ["p"], ["Faithfulness"], replies, None)
    assert score.value == FAILED


def test_what_needs_an_expected_answer_is_left_out_without_one() -> None:
    assert judged_scores(Item("k", "Q"), "A", ["p"], JUDGED[3:], judge(), None) == []
