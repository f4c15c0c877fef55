"""The service itself: health, warmth, pressure, errors, logs, metrics."""

from __future__ import annotations

import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from rag.api import faults
from rag.api.server import JsonLines
from rag.errors import (
    ConfigurationError,
    ConflictError,
    NotFoundError,
    PolicyError,
    QuotaError,
    TerminalError,
    UnavailableError,
)
from rag.store.database import Connection
from rag_assets_tests.api.conftest import ACME, Api, MakeApi, wait_until_warm
from rag_assets_tests.api.running import running
from rag_assets_tests.fakes_embed import FakeEmbedder

pytestmark = pytest.mark.slow


def test_health_has_the_known_shape(api: Api) -> None:
    answer = api.client.get("/health")

    assert answer.status_code == 200
    assert answer.json() == {
        "ok": True, "database_connected": True, "mongodb_connected": True,
        "service": "ingestion_pipeline",
    }  # fmt: skip


def test_the_service_is_not_ready_before_its_model_is_warm(make_api: MakeApi) -> None:
    is_loaded = threading.Event()

    def load() -> FakeEmbedder:
        assert is_loaded.wait(30)
        return FakeEmbedder()

    api = make_api(embedder=load)
    cold, early = api.client.get("/readyz"), api.ask("rope")
    is_loaded.set()
    wait_until_warm(api)

    assert cold.status_code == 503 and cold.json()["model_warm"] is False
    assert (early.status_code, early.json()["code"]) == (503, "not_ready")
    assert "retry-after" in early.headers
    assert api.client.get("/livez").json() == {"ok": True}


def test_a_model_that_does_not_load_is_named_by_its_code(make_api: MakeApi) -> None:
    def load() -> FakeEmbedder:
        raise ConfigurationError("There is no model /secret/path.", code="model_missing")

    api = make_api(embedder=load)
    answer = api.client.get("/readyz")

    assert answer.status_code == 503 and "secret" not in answer.text


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFoundError("x"), 404),
        (ConflictError("x"), 409),
        (PolicyError("x"), 413),
        (PolicyError("x", code="forbidden"), 403),
        (PolicyError("x", code="unauthenticated"), 401),
        (QuotaError("x"), 429),
        (UnavailableError("x"), 503),
        (ConfigurationError("x", code="bad_name"), 400),
        (ConfigurationError("x", code="s3_credentials"), 503),
        (TerminalError("x"), 500),
    ],
)
def test_each_kind_of_error_has_its_status(error: Any, status: int) -> None:
    assert faults.fault_of(error).status == status


@pytest.mark.parametrize(
    "error",
    [
        UnavailableError("Postgres failed (host db.internal)", code="database_unavailable"),
        ConfigurationError("password hunter2 refused at db.internal", code="database_refused"),
        TerminalError("a vector of db.internal", code="bad_vector", path="/srv/hunter2"),
    ],
)
def test_errors_of_servers_keep_their_secrets(error: Any) -> None:
    text = json.dumps(faults.fault_of(error).body("id"))

    assert "hunter2" not in text and "db.internal" not in text
    assert error.code in text


def test_a_defect_is_answered_without_a_traceback(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("hunter2")

    monkeypatch.setattr("rag.store.collections.find_collection", fail)
    with caplog.at_level(logging.INFO, "rag.api"):
        answer = api.client.get("/files", params=ACME)

    assert (answer.status_code, answer.json()["code"]) == (500, "unexpected")
    assert "hunter2" not in answer.text and "hunter2" not in caplog.text
    assert "ValueError at" in caplog.text


def test_a_request_keeps_the_id_it_came_with_if_that_is_one(api: Api) -> None:
    missing = {"user_id": "acme", "project_id": "none"}
    kept = api.client.get("/files", params=missing, headers={"X-Request-ID": "abc-1"})
    made = api.client.get("/files", params=missing, headers={"X-Request-ID": "no\tgood {}"})

    assert kept.headers["x-request-id"] == kept.json()["info"]["request_id"] == "abc-1"
    assert len(made.headers["x-request-id"]) == 32


def test_a_path_that_does_not_exist_has_the_same_shape(api: Api) -> None:
    missing, wrong = api.client.get("/nothing"), api.client.delete("/query")

    assert (missing.status_code, missing.json()["code"]) == (404, "no_such_route")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")


def test_the_log_has_the_outcome_and_nothing_of_the_content(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    key = api.key()
    with caplog.at_level(logging.INFO, "rag.api"):
        api.ask("hunter2", collection="acme/none", headers={"X-API-Key": key})
        api.client.get("/files", params={**ACME, "filename": "hunter2"})

    lines = [json.loads(record.message) for record in caplog.records]
    assert [line["status"] for line in lines] == [404, 401]
    assert lines[0]["principal"] == key.partition(".")[0]
    assert lines[0]["code"] == "collection_not_found" and lines[0]["ms"] > 0
    assert "hunter2" not in caplog.text and key not in caplog.text


def test_every_line_of_the_log_is_json() -> None:
    form = JsonLines()

    def line(message: str, error: Exception | None = None) -> Any:
        info = (type(error), error, None) if error else None
        record = logging.LogRecord("rag.api", logging.WARNING, "f", 1, message, None, info)
        return json.loads(form.format(record))

    request = line(json.dumps({"event": "request", "status": 200}))
    assert (request["event"], request["status"], request["level"]) == ("request", 200, "warning")
    assert request["at"].endswith("Z")
    assert line('with "quotes"\nand lines')["event"] == 'with "quotes"\nand lines'
    assert "KeyError" in line("failed", KeyError("x"))["trace"]


def test_a_request_in_progress_is_finished_when_the_service_stops(make_api: MakeApi) -> None:
    has_begun, may_end = threading.Event(), threading.Event()

    class Slow(FakeEmbedder):
        def embed_query(self, text: str) -> Any:
            if text != "warm":
                has_begun.set()
                assert may_end.wait(30)
            return super().embed_query(text)

    api = make_api(embedder=Slow)
    api.acme.source.put("rope.txt", b"A rope.")
    api.acme.run()
    body = {"query": "rope", "collection": "acme/docs"}
    with ThreadPoolExecutor(1) as pool, running(api.service) as url:
        waiting = pool.submit(httpx.post, f"{url}/query", json=body, timeout=30)
        assert has_begun.wait(30)
        threading.Timer(0.5, may_end.set).start()
    answer = waiting.result()

    assert (answer.status_code, len(answer.json()["hits"])) == (200, 1)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/livez", timeout=5)


def test_a_body_that_is_too_large_is_refused_before_it_is_read(api: Api) -> None:
    told = api.client.post("/query", content=b"x" * (1024 * 1024 + 1))
    untold = api.client.post("/query", content=iter([b"x" * 600_000] * 2))

    assert (told.status_code, told.json()["code"]) == (413, "request_too_large")
    assert (untold.status_code, untold.json()["code"]) == (413, "request_too_large")


def test_more_requests_than_allowed_are_sent_away_and_the_others_served(
    make_api: MakeApi,
) -> None:
    is_free = threading.Event()

    class Slow(FakeEmbedder):
        def embed_query(self, text: str) -> Any:
            if text != "warm":
                assert is_free.wait(30)
            return super().embed_query(text)

    api = make_api(embedder=Slow, max_in_flight=2)
    api.acme.source.put("rope.txt", b"A rope.")
    api.acme.run()
    wait_until_warm(api)

    with ThreadPoolExecutor(6) as pool:
        waiting = [pool.submit(api.ask, "rope") for _ in range(6)]
        while sum(each.done() for each in waiting) < 4:
            pass
        refused = [each.result() for each in waiting if each.done()]
        is_free.set()
        answers = [each.result() for each in waiting]

    assert [each.status_code for each in refused] == [503] * 4
    assert {each.json()["code"] for each in refused} == {"overloaded"}
    assert all("retry-after" in each.headers for each in refused)
    assert sorted(each.status_code for each in answers) == [200, 200, 503, 503, 503, 503]


def test_a_busy_pool_is_a_503_not_an_empty_answer(make_api: MakeApi) -> None:
    api = make_api(pool_size=1, pool_timeout_s=0.2)
    wait_until_warm(api)
    api.ask("rope")  # what is looked up once is known now

    with api.service.database.connection():
        answer = api.ask("rope")

    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert "retry-after" in answer.headers


def test_a_server_that_dropped_our_connections_costs_no_request(api: Api, conn: Connection) -> None:
    api.acme.source.put("rope.txt", b"A rope.")
    api.acme.run()
    assert api.ask("rope").status_code == 200
    conn.execute(
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
        " where application_name = 'rag-api'"
    )

    answers = [api.ask("rope") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200] * 3
    assert all(answer.json()["hits"] for answer in answers)


def test_a_statement_that_takes_too_long_is_a_503(make_api: MakeApi, conn: Connection) -> None:
    api = make_api(statement_timeout_s=0.2)
    wait_until_warm(api)
    with conn.transaction():
        conn.execute("lock table collection in access exclusive mode")
        answer = api.client.get("/files", params=ACME)

    assert answer.status_code == 503


def test_metrics_count_requests_errors_and_documents(api: Api) -> None:
    api.acme.source.put("rope.txt", b"A rope.")
    api.acme.source.put("bad.txt", b"BROKEN")
    api.acme.run()
    api.ask("rope")
    api.ask("rope", collection="acme/none")

    text = api.client.get("/metrics").text

    assert 'rag_request_seconds_count{method="POST",route="/query",status="200"} 1.0' in text
    assert 'rag_errors_total{code="collection_not_found"} 1.0' in text
    assert 'rag_documents{state="live"} 1.0' in text
    assert 'rag_documents{state="failed"} 1.0' in text
    assert "rag_requests_in_flight 1.0" in text
    assert "rag_oldest_pending_seconds 0.0" in text
    assert "rag_hints 0.0" in text and "rag_oldest_look_seconds" in text
    assert (
        'rag_connections{state="used"} 0.0' in text or 'rag_connections{state="used"} 1.0' in text
    )


def test_the_api_describes_itself(api: Api) -> None:
    document = api.client.get("/openapi.json").json()

    assert "/query" in document["paths"] and "securitySchemes" in document["components"]
