"""The gate lets a candidate serve only when nothing speaks against it, and says what does."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from rag.errors import ConflictError
from rag.evaluation.experiment import Lab
from rag.generations import promotion
from rag.generations.gate import Decision, judge_candidate
from rag.generations.selfcheck import filtered_recall
from rag.settings import Settings
from rag.store import evaluation, generations
from rag_assets_tests.fakes_embed import FakeEmbedder
from rag_assets_tests.generations.conftest import Changing

pytestmark = pytest.mark.slow

OTHER = {"embedding_model": "other"}


class Blind(FakeEmbedder):
    """Says the same of every text but for its length: a model that has gone bad."""

    def embed(
        self, texts: Sequence[str], on_batch: Callable[[int, int], None] | None = None
    ) -> NDArray[np.float32]:
        super().embed(texts, on_batch)
        return super().embed([str(len(text) % 7) for text in texts])


@pytest.fixture
def gated(changing: Changing) -> Changing:
    generations.set_gate(changing.conn, changing.collection.id, True)
    for number in range(6, 40):
        words = " ".join(f"w{number * 31 + k}x{k}" for k in range(12))
        changing.source.put(
            f"more-{number}.txt", f"# More {number}\n\nStation notes {words}.".encode()
        )
    changing.settings["gate_min_questions"] = 20
    changing.run()
    return changing


def judged(gated: Changing, **settings: object) -> Decision:
    base = gated.shop().settings
    lab = Lab(gated.conn, base.model_copy(update=settings), gated.embedders())
    return judge_candidate(lab, gated.name)


def test_a_candidate_as_good_as_the_live_one_passes_and_may_be_promoted(gated: Changing) -> None:
    candidate = gated.build(OTHER).generation
    decision = judged(gated)
    assert decision.passed, decision.reasons
    assert decision.is_synthetic
    assert (decision.candidate, decision.live) == (candidate, gated.live)
    parts = {"recall@10 (dense)", "nDCG@10 (dense)"}
    assert {each.metric for each in decision.comparisons} == {"recall@10", "nDCG@10", *parts}
    assert all(each.questions >= 20 for each in decision.comparisons)
    promotion.promote(gated.conn, gated.name, candidate, gated.shop().settings)
    assert gated.live == candidate


def test_synthetic_questions_judge_the_vectors_alone_too(gated: Changing) -> None:
    """They are made of words, so that BM25 finds them whatever the model has become."""
    gated.engines["blind"] = Blind(64, "blind")
    gated.build({"embedding_model": "blind"})
    decision = judged(gated)
    by_metric = {each.metric: each for each in decision.comparisons}
    assert not by_metric["nDCG@10 (dense)"].passed
    assert by_metric["nDCG@10 (dense)"].difference < -0.1
    assert any(lost["mode"] == "dense" for lost in decision.worse)


def test_a_candidate_that_finds_less_stays_back_with_the_questions_that_got_worse(
    gated: Changing,
) -> None:
    gated.engines["blind"] = Blind(96, "blind")
    before = gated.live
    candidate = gated.build({"embedding_model": "blind"}).generation
    decision = judged(gated)
    assert not decision.passed
    assert any("drops by" in reason for reason in decision.reasons)
    assert decision.worse
    assert decision.worse[0]["live"] > decision.worse[0]["candidate"]
    with pytest.raises(ConflictError):
        promotion.promote(gated.conn, gated.name, candidate, gated.shop().settings)
    assert gated.live == before
    kept = generations.last_decision(gated.conn, candidate)
    assert kept is not None
    assert kept["report"]["reasons"] == decision.reasons


def test_documents_that_would_be_lost_stop_a_candidate(gated: Changing) -> None:
    candidate = gated.build(OTHER).generation
    gated.conn.execute(
        "with gone as (delete from publication where generation_id = %s and document_id = "
        "(select min(document_id) from publication) returning document_id) "
        "delete from search_row using gone where generation_id = %s "
        "and search_row.document_id = gone.document_id", [candidate, candidate],
    )  # fmt: skip
    reasons = "\n".join(judged(gated).reasons)
    assert "1 documents are missing" in reasons
    assert "1 documents that are found now would not be found" in reasons


def test_too_few_questions_and_floors_stop_a_candidate(gated: Changing) -> None:
    gated.build(OTHER)
    assert any("too few" in reason for reason in judged(gated, gate_min_questions=9999).reasons)
    assert any("below the floor" in reason for reason in judged(
        gated, gate_floors={"hit@4": 1.01}).reasons)  # fmt: skip


def test_a_slow_candidate_is_stopped(gated: Changing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag.generations.gate._FELT_MS", 0.0)
    gated.build(OTHER)
    assert any(r.startswith("latency") for r in judged(gated, gate_latency_ratio=1e-6).reasons)


def test_the_golden_set_of_people_goes_before_synthetic_questions(gated: Changing) -> None:
    gated.build(OTHER)
    assert judged(gated).dataset == "synthetic"
    names = [row["name"] for row in evaluation.datasets(gated.conn, gated.collection.id)]
    assert names == ["synthetic"]


def test_there_must_be_a_candidate(gated: Changing) -> None:
    with pytest.raises(ConflictError) as caught:
        judged(gated)
    assert caught.value.code == "no_candidate"


def test_filtered_recall_is_whole_where_search_is_exact(gated: Changing) -> None:
    assert filtered_recall(gated.conn, gated.name, gated.live or 0) == 1.0


def test_filtered_recall_sees_rows_that_are_not_found(
    gated: Changing, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rag.store import lookup

    whole = lookup.nearest

    def lossy(*arguments: object, **more: object) -> lookup.Near:
        found = whole(*arguments, **more)  # type: ignore[arg-type]
        return lookup.Near(found.best[: len(found.best) // 2], {})

    monkeypatch.setattr(lookup, "nearest", lossy)
    assert filtered_recall(gated.conn, gated.name, gated.live or 0) == pytest.approx(0.5, abs=0.1)


def test_settings_name_the_gate() -> None:
    assert Settings().gate_drop == 0.02
