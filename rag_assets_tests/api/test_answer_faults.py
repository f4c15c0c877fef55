"""POST /rag when the model or the database is slow, wrong or gone: an error with its code, never an
empty answer."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx
import psycopg
import pytest

from rag_assets_tests.answer.loopback import Loopback
from rag_assets_tests.api.answering import fill, logged, post
from rag_assets_tests.api.conftest import MakeApi
from rag_assets_tests.stack.processes import eventually

pytestmark = pytest.mark.slow


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
    assert (row["outcome"], row["error_code"], row["model"]) == ("failed", code, "m")
    # what was begun is counted; a refusal costs nothing
    assert (row["prompt_tokens"] > 0) == (row["completion_tokens"] > 0) == bool(row["answer"])
    assert api.ask("rope").json()["hits"]  # search goes on


def test_a_dead_endpoint_costs_its_retries_and_no_more(make_api: MakeApi) -> None:
    api = fill(make_api(llm_base_url="http://127.0.0.1:9/v1", llm_model="m", llm_retries=1))
    started = time.monotonic()

    assert post(api).json()["code"] == "model_unavailable"
    assert time.monotonic() - started < 20


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
    answers: list[httpx.Response] = []

    def keep_asking() -> None:
        while not is_over.is_set():
            answers.append(post(without_model))

    def came_since(count: int, status: int) -> bool:
        return any(answer.status_code == status for answer in answers[count:])

    with psycopg.connect(postgres_server, autocommit=True) as admin, ThreadPoolExecutor(3) as pool:

        def admit(is_open: bool) -> None:
            admin.execute(f"alter database {name} with allow_connections {is_open}".encode())

        asking = [pool.submit(keep_asking) for _ in range(3)]
        try:
            for _ in range(2):  # the server goes and comes back
                assert eventually(partial(came_since, len(answers), 200), 30)
                count = len(answers)
                admit(False)
                admin.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where application_name = 'rag-api' and datname = %s",
                    [name],
                )
                assert eventually(partial(came_since, count, 503), 30)
                admit(True)
        finally:
            admit(True)
            is_over.set()
        for each in asking:
            each.result()

    seen = {(answer.status_code, answer.json().get("code")) for answer in answers}
    assert seen == {(200, None), (503, "database_unavailable")}  # both, and nothing else
    good = [answer.json() for answer in answers if answer.status_code == 200]
    assert all(answer["is_answered"] and answer["citations"] for answer in good)
    deadline = time.monotonic() + 30
    while post(without_model).status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
