"""A new topic comes in: drift fails with numbers, one run is requested, one alert is sent."""

from __future__ import annotations

import json
import uuid
import zlib
from collections.abc import Iterator

import numpy as np
import pytest

from rag.model import CollectionName
from rag.store import collections, drift
from rag_assets.jobs import DRIFT
from rag_assets_tests.alerts.receivers import HttpReceiver, http_receiver
from rag_assets_tests.assets.bench import COLLECTION, DAGSTER_WARNINGS, Bench
from rag_assets_tests.schedules.daemon import Daemon

pytestmark = [pytest.mark.slow, DAGSTER_WARNINGS]

KEY = "check:embeddings:{}:acme/docs"


class Topics:
    """Vectors around the axis of the topic that a text names."""

    dimension = 384
    config: dict[str, object] = {"model": "topics", "dimension": 384}  # noqa: RUF012

    def prepare(self) -> None:
        pass

    def embed(self, texts, on_batch=None):  # type: ignore[no-untyped-def]
        return np.stack([self.embed_query(text) for text in texts])

    def embed_query(self, text: str):  # type: ignore[no-untyped-def]
        random = np.random.default_rng(zlib.crc32(text.encode()))
        made = random.normal(scale=0.05, size=self.dimension)
        made[0 if "harbour" in text else 1] += 1.0
        return (made / np.linalg.norm(made)).astype(np.float32)


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpReceiver]:
    with http_receiver() as receiver:
        routes = {
            "hook": {"channel": "webhook", "url": receiver.url, "kinds": ["drift", "freshness"]}
        }
        monkeypatch.setenv("RAG_ALERT_ROUTES", json.dumps(routes))
        yield receiver


@pytest.fixture
def daemon(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Daemon:
    """Sixty documents about the harbour, and their reference."""
    monkeypatch.setenv("RAG_DRIFT_MIN_SAMPLE", "40")
    bench.embedder = Topics()  # type: ignore[assignment]
    bench.collect()
    put(bench, "harbour", 60)
    made = Daemon(bench)
    made.round()
    made.inspect(COLLECTION, DRIFT)
    return made


def put(bench: Bench, topic: str, count: int) -> None:
    for number in range(count):
        text = f"Number {number} is about the {topic} of town {number * 7}."
        bench.sources["fake://bucket/"].put(f"{topic}/{number}.txt", text.encode())
    assert bench.run().success


def test_more_of_the_same_is_no_drift(daemon: Daemon, web: HttpReceiver) -> None:
    bench = daemon.bench
    put(bench, "old harbour", 50)

    daemon.inspect(COLLECTION, DRIFT)
    daemon.round()

    (scope, reference) = _reference(bench)
    recent = drift.recent_documents(bench.conn, scope, reference.taken_at, 500)
    assert len(recent) == 50  # it was judged
    assert (daemon.runs, web.came) == ([], [])


def test_a_new_topic_is_told_and_run_once(daemon: Daemon, web: HttpReceiver) -> None:
    bench = daemon.bench
    put(bench, "kitchen", 50)

    for _check in range(3):
        daemon.inspect(COLLECTION, DRIFT)
        daemon.round()
        daemon.restart()

    opened = {body["key"]: body for _path, body, _id in web.came}
    assert set(opened) == {KEY.format("embedding_drift"), KEY.format("topic_drift")}
    assert len(web.came) == 2
    assert "far_share_rise 1.00 (warn 0.05)" in opened[KEY.format("topic_drift")]["detail"] or (
        "far_share_rise 0.9" in opened[KEY.format("topic_drift")]["detail"]
    )
    assert {partition for partition, _reason in daemon.runs} == {COLLECTION}
    assert len(daemon.runs) == 2  # one for each check
    assert all("drift failed" in reason for _partition, reason in daemon.runs)

    found = collections.find_collection(bench.conn, CollectionName.parse(COLLECTION))
    assert drift.drop_references(bench.conn, found.id) == 1
    daemon.inspect(COLLECTION, DRIFT)
    daemon.round()
    assert [body["event"] for _path, body, _id in web.came].count("recovered") == 2


def test_the_numbers_stand_in_the_metadata_of_the_check(daemon: Daemon) -> None:
    bench = daemon.bench
    put(bench, "kitchen", 50)
    daemon.inspect(COLLECTION, DRIFT)

    history = bench.instance.event_log_storage.get_asset_check_execution_history(DRIFT[2], limit=1)
    evaluation = history[0].evaluation
    assert evaluation is not None
    assert (evaluation.partition, evaluation.passed) == (COLLECTION, False)
    values = {name: value.value for name, value in evaluation.metadata.items()}
    assert (values["reference"], values["recent"]) == (60, 50)
    assert values["far_share_rise"] > 0.9
    assert "| far_share_rise | " in str(values["tests"])
    assert " | 0.05 | 0.3 | " in str(values["tests"])
    assert str(values["plot"]).startswith("![plot](data:image/svg+xml;base64,")
    kept = {(row["check_name"], row["measure"]): row["value"] for row in drift.findings(bench.conn)}
    assert kept["topic_drift", "far_share_rise"] == pytest.approx(
        values["far_share_rise"], abs=1e-4
    )


def test_questions_are_compared_and_an_erased_document_leaves_no_vector(daemon: Daemon) -> None:
    bench = daemon.bench
    ask(bench, "harbour", 60)
    daemon.inspect(COLLECTION, DRIFT)
    ask(bench, "kitchen", 60)
    daemon.inspect(COLLECTION, DRIFT)

    history = bench.instance.event_log_storage.get_asset_check_execution_history(DRIFT[3], limit=1)
    assert history[0].evaluation is not None
    values = {name: value.value for name, value in history[0].evaluation.metadata.items()}
    assert not history[0].evaluation.passed
    assert values["gap_rise"] > 0.3

    before = _count(bench)
    bench.conn.execute("delete from publication")
    bench.conn.execute(
        "delete from document where id = (select min(document_id) from drift_sample)"
    )
    assert _count(bench) == before - 1


def ask(bench: Bench, topic: str, count: int) -> None:
    for number in range(count):
        bench.conn.execute(
            "insert into query_log (id, namespace_id, collection_id, principal, query, mode, k,"
            " filters, hits, encode_ms, search_ms) select %s, namespace_id, id, 'p', %s, 'hybrid',"
            " 5, '{}', '[]', 1, 1 from collection",
            (uuid.uuid4(), f"Question {number} on the {topic}?"),
        )


def _count(bench: Bench) -> int:
    row = bench.conn.execute("select count(*) from drift_sample").fetchone()
    assert row is not None
    return int(row["count"])


def _reference(bench: Bench) -> tuple[drift.Scope, drift.Reference]:
    found = collections.find_collection(bench.conn, CollectionName.parse(COLLECTION))
    scope = drift.scope_of(bench.conn, found.id, 0)
    assert scope is not None
    reference = drift.find_reference(bench.conn, scope, "documents")
    assert reference is not None
    return scope, reference
