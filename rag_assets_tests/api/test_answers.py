"""POST /rag: answers, streams, the log, and what happens when the model or the caller is gone."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest

from rag.api.pool import Database
from rag.api.service import Service
from rag.api.warmth import WarmEmbedder
from rag.store import access
from rag.store.access import KeyScope
from rag_assets_tests.answer.loopback import Loopback, loopback_model
from rag_assets_tests.api.conftest import Api, MakeApi, wait_until_warm
from rag_assets_tests.api.running import events, running

pytestmark = pytest.mark.slow

CABLE = b"# Cable\n\nThe haul rope of the cable car is inspected every month."
PUMP = b"# Pump\n\nThe pump house holds three pumps and a rope ladder."
ASKED = {"query": "How often is the haul rope inspected?", "collection": "acme/docs"}
UNKNOWN = "I don't know the answer."


@pytest.fixture
def model() -> Iterator[Loopback]:
    with loopback_model() as state:
        state.say = lambda messages: "The haul rope is inspected every month [1]."
        yield state


def fill(api: Api) -> Api:
    wait_until_warm(api)
    api.acme.source.put("cable.txt", CABLE)
    api.acme.source.put("pump.txt", PUMP)
    api.acme.run()
    return api


@pytest.fixture
def with_model(make_api: MakeApi, model: Loopback) -> Api:
    """A filled service with a model."""
    return fill(make_api(llm_base_url=model.url, llm_model="loopback", llm_timeout_s=5.0))


@pytest.fixture
def without_model(api: Api) -> Api:
    return fill(api)


def post(api: Api, **more: Any) -> httpx.Response:
    answer: httpx.Response = api.client.post("/rag", json={**ASKED, **more})
    return answer


def logged(api: Api) -> list[dict[str, Any]]:
    return api.conn.execute(
        "select query_log.query, query_log.hits, query_log.generation_id, answer_log.*"
        " from query_log left join answer_log on answer_log.query_id = query_log.id"
        " order by asked_at"
    ).fetchall()


def wait_for_log(api: Api, count: int = 1) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 10
    while len([row for row in logged(api) if row["outcome"]]) < count:
        assert time.monotonic() < deadline, logged(api)
        time.sleep(0.02)
    return logged(api)


def test_an_answer_cites_the_passage_it_rests_on(with_model: Api) -> None:
    body = post(with_model).json()

    assert body["answer"] == "The haul rope is inspected every month [1]."
    assert body["is_answered"] and body["model"] == "loopback" and body["dropped"] == []
    (citation,) = body["citations"]
    assert citation["number"] == 1 and citation["document"] == "cable.txt"
    assert "inspected every month" in citation["text"] and citation["document_id"] > 0
    assert set(citation) == {"number", "document", "document_id", "uri", "title", "page",
                             "heading", "ordinal", "text", "score"}  # fmt: skip
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


def sibling(api: Api) -> Service:
    """The same service again, for a socket of its own."""
    from rag_assets_tests.fakes_embed import FakeEmbedder

    settings, first = api.service.settings, api.service
    url = str(first.database._pool.conninfo)
    return Service(settings, Database(url, settings), WarmEmbedder(FakeEmbedder), first.bucket,
                   first.pages, first.model_name)  # fmt: skip


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


def test_a_stream_that_is_read_to_its_end_is_not_cancelled(
    with_model: Api, model: Loopback
) -> None:
    """The negative control of the one above."""
    with running(sibling(with_model)) as url, httpx.Client(timeout=20) as client:
        client.post(f"{url}/rag", json={**ASKED, "stream": True})
        (row,) = wait_for_log(with_model)

    assert row["outcome"] == "answered" and not model.hung_up.is_set()


# -- a model that fails --


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ({"pause_s": 8.0}, 503, "model_timeout"),
        ({"statuses": [429] * 9, "retry_after": "60"}, 429, "model_rate_limited"),
        ({"statuses": [500] * 9}, 503, "model_unavailable"),
        ({"statuses": [401] * 9}, 503, "model_refused"),
        ({"body": "<html>"}, 503, "model_malformed"),
        ({"cut_after": 2}, 503, "model_cut_off"),
    ],
)
def test_a_model_that_fails_is_an_error_and_never_an_empty_answer(
    make_api: MakeApi, model: Loopback, fault: dict[str, Any], status: int, code: str
) -> None:
    patience_s = 3.0 if "pause_s" in fault else 30.0
    settings = {"llm_base_url": model.url, "llm_model": "m", "llm_timeout_s": patience_s}
    api = fill(make_api(**settings, llm_retries=0))
    for name, value in fault.items():
        setattr(model, name, value)

    answer = post(api)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert len(model.requests) >= 1 and "retry-after" in answer.headers
    assert model.url not in answer.text
    (row,) = logged(api)
    assert (row["outcome"], row["error_code"]) == ("failed", code)
    assert api.ask("rope").json()["hits"]  # search goes on


def test_a_stream_that_is_cut_ends_with_an_error_event(with_model: Api, model: Loopback) -> None:
    model.cut_after = 4
    found = list(events(iter(post(with_model, stream=True).text.splitlines())))

    assert found[0][0] == "passages" and found[-1][0] == "error"
    assert found[-1][1]["code"] == "model_cut_off" and found[-1][1]["info"]["request_id"]
    assert not any(name == "done" for name, _ in found)


def test_a_dead_endpoint_costs_its_retries_and_no_more(make_api: MakeApi) -> None:
    api = fill(make_api(llm_base_url="http://127.0.0.1:9/v1", llm_model="m", llm_retries=1))
    started = time.monotonic()

    assert post(api).json()["code"] == "model_unavailable"
    assert time.monotonic() - started < 5


def test_slow_answers_hold_no_connection_and_do_not_block_the_others(
    make_api: MakeApi, model: Loopback
) -> None:
    model.pause_s = 2.0
    api = fill(make_api(llm_base_url=model.url, llm_model="m", pool_size=1, pool_timeout_s=1.0))

    with ThreadPoolExecutor(5) as pool:
        slow = [pool.submit(post, api) for _ in range(4)]
        while len(model.requests) < 4:
            time.sleep(0.01)
        started = time.monotonic()
        quick = api.ask("rope")
        quick_s = time.monotonic() - started
        answers = [each.result() for each in slow]

    assert quick.status_code == 200 and quick_s < 1.0
    assert [each.status_code for each in answers] == [200] * 4


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


def test_a_pool_that_is_exhausted_is_a_503(make_api: MakeApi, model: Loopback) -> None:
    api = fill(make_api(llm_base_url=model.url, llm_model="m", pool_size=1, pool_timeout_s=0.2))
    assert post(api).status_code == 200

    with api.service.database.connection():
        answer = post(api)

    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert "retry-after" in answer.headers and len(model.requests) == 1


def test_a_database_that_goes_away_under_load_is_a_503_never_an_empty_answer(
    make_api: MakeApi, postgres_server: str
) -> None:
    without_model = fill(make_api(requests_per_minute=0))
    name = without_model.conn.info.dbname
    is_over = threading.Event()

    def keep_asking() -> list[httpx.Response]:
        answers = []
        while not is_over.is_set():
            answers.append(post(without_model))
        return answers

    with psycopg.connect(postgres_server, autocommit=True) as admin, ThreadPoolExecutor(3) as pool:

        def admit(is_open: bool) -> None:
            admin.execute(f"alter database {name} with allow_connections {is_open}".encode())

        asking = [pool.submit(keep_asking) for _ in range(3)]
        try:
            time.sleep(0.5)
            for _ in range(2):  # the server goes and comes back
                admit(False)
                admin.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where application_name = 'rag-api' and datname = %s",
                    [name],
                )
                time.sleep(1.0)
                admit(True)
                time.sleep(1.0)
        finally:
            admit(True)
            is_over.set()
        answers = [answer for each in asking for answer in each.result()]

    seen = {(answer.status_code, answer.json().get("code")) for answer in answers}
    assert seen == {(200, None), (503, "database_unavailable")}  # both, and nothing else
    good = [answer.json() for answer in answers if answer.status_code == 200]
    assert all(answer["is_answered"] and answer["citations"] for answer in good)
    deadline = time.monotonic() + 30
    while post(without_model).status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)


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
