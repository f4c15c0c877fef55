"""POST /rag: answers, streams, the log, and callers who leave."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from rag.store import access
from rag.store.access import KeyScope
from rag_assets_tests.answer.loopback import Loopback
from rag_assets_tests.api.answering import (
    ASKED,
    UNKNOWN,
    fill,
    logged,
    post,
    sibling,
    wait_for_log,
)
from rag_assets_tests.api.conftest import Api, MakeApi
from rag_assets_tests.api.running import events, running

pytestmark = pytest.mark.slow


@pytest.fixture
def with_model(make_api: MakeApi, model: Loopback) -> Api:
    """A filled service with a model."""
    return fill(make_api(llm_base_url=model.url, llm_model="loopback", llm_timeout_s=5.0))


@pytest.fixture
def without_model(api: Api) -> Api:
    return fill(api)


def test_an_answer_cites_the_passage_it_rests_on(with_model: Api) -> None:
    body = post(with_model).json()

    assert body["answer"] == "The haul rope is inspected every month [1]."
    assert body["is_answered"] and body["model"] == "loopback" and body["dropped"] == []
    (citation,) = body["citations"]
    assert citation["number"] == 1 and citation["document"] == "cable.txt"
    assert "inspected every month" in citation["text"] and citation["document_id"] > 0
    assert set(citation) == {"number", "document", "document_id", "uri", "title", "page",
                             "heading", "ordinal", "text", "score", "content_hash",
                             "version_id", "start_char", "end_char"}  # fmt: skip
    assert body["usage"]["prompt_tokens"] > 50 and body["latency_ms"] > 0
    assert body["generation"] and body["as_of"] and body["query_id"]


def test_without_a_model_the_best_sentences_answer(without_model: Api) -> None:
    body = post(without_model).json()

    assert body["answer"] == "The haul rope of the cable car is inspected every month. [1]"
    assert body["model"] is None and body["is_answered"] and body["uncited"] == []


def test_nothing_relevant_is_the_literal_sentence_and_no_model_is_asked(
    with_model: Api, model: Loopback
) -> None:
    body = post(with_model, query="zzz qqq xxx").json()

    assert body["answer"] == UNKNOWN and not body["is_answered"] and body["citations"] == []
    assert model.requests == [] and logged(with_model)[0]["outcome"] == "unknown"


def test_the_log_has_the_question_the_passages_and_the_answer(with_model: Api) -> None:
    body = post(with_model, k=2).json()

    (row,) = logged(with_model)
    assert str(row["query_id"]) == body["query_id"] and row["query"] == ASKED["query"]
    assert row["outcome"] == "answered" and row["answer"] == body["answer"]
    assert row["cited"] == [1] and row["model"] == "loopback" and row["error_code"] is None
    assert row["prompt_tokens"] == body["usage"]["prompt_tokens"] > 0
    assert 0 < row["first_ms"] <= row["total_ms"] and row["generation_id"] == body["generation"]
    assert [hit["rank"] for hit in row["hits"]] == [1, 2]
    assert all("ranks" in hit and "score" in hit and "text" not in hit for hit in row["hits"])


def test_feedback_names_an_answer(with_model: Api) -> None:
    query_id = post(with_model).json()["query_id"]
    said = {"query_id": query_id, "thumb": "down", "document": "pump.txt", "ordinal": 0}

    assert with_model.client.post("/feedback", json=said).status_code == 200


def test_erasing_a_document_erases_the_answers_that_found_it(without_model: Api) -> None:
    from rag.store import collections
    from rag.store.retention import erase

    post(without_model)
    post(without_model, filters={"filenames": ["pump.txt"]}, query="three pumps in the pump house")
    conn = without_model.conn
    erase(
        conn, collections.find_collection(conn, without_model.acme.name), "fake://bucket/cable.txt"
    )

    assert [row["answer"] is None for row in logged(without_model)] == [True, False]


def test_history_is_condensed_before_the_search(with_model: Api, model: Loopback) -> None:
    def say(messages: list[dict[str, str]]) -> str:
        is_condensing = "last question" in messages[-1]["content"]
        return "How often is the haul rope inspected?" if is_condensing else "Every month [1]."

    model.say = say
    history = [{"role": "user", "content": "What of the haul rope?"},
               {"role": "assistant", "content": "It pulls [3]."}]  # fmt: skip
    body = post(with_model, query="How often is it inspected?", history=history).json()

    assert body["is_answered"] and len(model.requests) == 2
    assert logged(with_model)[0]["searched"] == "How often is the haul rope inspected?"


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"query": " "}, 400, "empty_query"),
        ({"collection": "acme/none"}, 404, "collection_not_found"),
        ({"collection": "no name"}, 400, "bad_name"),
        ({"k": 0}, 422, "invalid_request"),
        ({"history": [{"role": "system", "content": "x"}]}, 422, "invalid_request"),
        ({"surprise": 1}, 422, "invalid_request"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_wrong_request_is_refused_alike_whole_and_streamed(
    without_model: Api, change: dict[str, Any], status: int, code: str, stream: bool
) -> None:
    answer = post(without_model, **change, stream=stream)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


# -- streams --


def test_a_stream_is_passages_deltas_and_the_whole(with_model: Api) -> None:
    answer = post(with_model, stream=True)
    found = list(events(iter(answer.text.splitlines())))

    names = [name for name, _ in found]
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert names[0] == "passages" and names[-1] == "done" and set(names[1:-1]) == {"delta"}
    opening, done = found[0][1], found[-1][1]
    assert opening["hits"][0]["document"] == "cable.txt" and opening["generation"]
    assert "".join(data["text"] for name, data in found if name == "delta") == done["answer"]
    assert opening["query_id"] == done["query_id"] and done["citations"] and len(names) > 4
    asked = with_model.ask(ASKED["query"]).json()
    assert opening["hits"] == asked["hits"]  # as in /query


def test_the_first_words_come_before_the_last_are_made(with_model: Api, model: Loopback) -> None:
    model.say, model.gap_s = lambda messages: "The rope is inspected [1]. " * 10, 0.05
    with running(sibling(with_model)) as url, httpx.Client(timeout=20) as client:
        started = time.monotonic()
        with client.stream("POST", f"{url}/rag", json={**ASKED, "stream": True}) as answer:
            times = {
                name: time.monotonic() - started for name, _ in _first(events(answer.iter_lines()))
            }

    assert times["delta"] < times["done"] - 1.0


def _first(found: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    seen: set[str] = set()
    for name, data in found:
        if name not in seen:
            seen.add(name)
            yield name, data


def test_a_caller_who_leaves_ends_the_models_call_and_is_logged_as_cancelled(
    with_model: Api, model: Loopback
) -> None:
    model.say, model.gap_s = lambda messages: "The rope is old [1]. " * 2000, 0.01
    service = sibling(with_model)
    with running(service) as url, httpx.Client(timeout=20) as client:
        with client.stream("POST", f"{url}/rag", json={**ASKED, "stream": True}) as answer:
            names = [
                name for (name, _), _ in zip(events(answer.iter_lines()), range(3), strict=False)
            ]
        assert names == ["passages", "delta", "delta"]  # work had begun
        assert model.hung_up.wait(10)
        (row,) = wait_for_log(with_model)
        pool = service.database._pool.get_stats()
        assert pool["pool_available"] == pool["pool_size"] > 0

    assert row["outcome"] == "cancelled" and row["answer"].startswith("The rope is old [1].")
    assert model.pieces_sent < 2000
    assert row["model"] == "loopback" and row["prompt_tokens"] > 50
    assert row["completion_tokens"] >= len(row["answer"]) // 4 > 0


def test_a_defect_of_ours_is_logged_as_failed_and_not_as_cancelled(
    with_model: Api, model: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("rag.answer.writing._whole", fail)

    assert post(with_model).status_code == 500
    (row,) = logged(with_model)
    assert (row["outcome"], row["error_code"]) == ("failed", "unexpected")
    assert row["prompt_tokens"] > 50 and row["completion_tokens"] > 0


def test_a_stream_that_is_read_to_its_end_is_not_cancelled(
    with_model: Api, model: Loopback
) -> None:
    """The negative control of the one above."""
    with running(sibling(with_model)) as url, httpx.Client(timeout=20) as client:
        client.post(f"{url}/rag", json={**ASKED, "stream": True})
        (row,) = wait_for_log(with_model)

    assert row["outcome"] == "answered" and not model.hung_up.is_set()


def test_a_stream_that_is_cut_ends_with_an_error_event(with_model: Api, model: Loopback) -> None:
    model.cut_after = 4
    found = list(events(iter(post(with_model, stream=True).text.splitlines())))

    assert found[0][0] == "passages" and found[-1][0] == "error"
    assert found[-1][1]["code"] == "model_cut_off" and found[-1][1]["info"]["request_id"]
    assert not any(name == "done" for name, _ in found)


def test_metrics_count_the_models_calls_and_tokens(make_api: MakeApi, model: Loopback) -> None:
    api = fill(make_api(llm_base_url=model.url, llm_model="m", llm_retries=0))
    used = post(api).json()["usage"]
    model.statuses = [500]
    assert post(api).status_code == 503

    text = api.client.get("/metrics").text

    assert 'rag_model_calls_total{outcome="ok"} 1.0' in text
    assert 'rag_model_calls_total{outcome="model_unavailable"} 1.0' in text
    for kind in ("prompt", "completion"):
        tokens = float(used[f"{kind}_tokens"])
        assert tokens and f'rag_model_tokens_total{{kind="{kind}"}} {tokens}' in text


def test_metrics_count_what_a_call_that_was_cut_off_took(with_model: Api, model: Loopback) -> None:
    model.cut_after = 4
    post(with_model, stream=True)

    (row,) = logged(with_model)
    text = with_model.client.get("/metrics").text
    assert 'rag_model_calls_total{outcome="model_cut_off"} 1.0' in text
    for kind in ("prompt", "completion"):
        tokens = float(row[f"{kind}_tokens"])
        assert tokens and f'rag_model_tokens_total{{kind="{kind}"}} {tokens}' in text


def test_a_document_that_is_not_for_the_caller_is_in_no_answer(
    with_model: Api, model: Loopback
) -> None:
    api = with_model
    api.conn.execute("update document set principals = '{hr}' where uri like '%cable.txt'")
    own = access.create_key(api.conn, KeyScope("acme", "read", None, ("hr",)), None)
    other = access.create_key(api.conn, KeyScope("acme", "read", None, ("sales",)), None)

    seen = {}
    for name, key in (("hr", own), ("sales", other)):
        body = api.client.post("/rag", json=ASKED, headers={"X-API-Key": key}).json()
        seen[name] = body["is_answered"]
        record = api.client.post(
            "/retrieve", params={"ticker": "cable"}, headers={"X-API-Key": key},
            json={"topic": "acme", "segment": "docs"},
        )  # fmt: skip
        seen[f"{name} record"] = bool(record.json())
    assert seen == {"hr": True, "hr record": True, "sales": False, "sales record": False}
    assert sum("inspected every month" in str(sent) for sent in model.requests) == 1
