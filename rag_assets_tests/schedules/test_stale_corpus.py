"""A collection goes stale, is run and recovers: one alert, one recovery, the right partitions."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from rag.evaluation.dataset import Item, Relevant
from rag.evaluation.experiment import import_dataset
from rag.model import CollectionName
from rag.schedules import Kind, Rhythm
from rag.store import collections, evaluation, schedules
from rag_assets_tests.alerts.receivers import HttpReceiver, http_receiver
from rag_assets_tests.assets.bench import DAGSTER_WARNINGS, Bench, leave_a_run
from rag_assets_tests.schedules.daemon import Daemon
from sensors.reindex import request_runs

pytestmark = [pytest.mark.slow, DAGSTER_WARNINGS]


@pytest.fixture
def daemon(bench: Bench) -> Daemon:
    """Two collections, brought up to date, and a daemon that has seen all of it."""
    for name in ("one", "two"):
        bench.collect(f"acme/{name}", f"fake://{name}/").put("a.txt", b"Of %s." % name.encode())
        bench.run(f"acme/{name}")
    made = Daemon(bench)
    made.round()
    return made


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    with http_receiver() as receiver:
        routes = {"hook": {"channel": "webhook", "url": receiver.url}}
        monkeypatch.setenv("RAG_ALERT_ROUTES", json.dumps(routes))
        yield receiver


def age(bench: Bench, collection: str, hours: int) -> None:
    """Nobody has looked at the collection's source for that long."""
    bench.conn.execute(
        "update source set listed_at = now() - make_interval(hours => %(hours)s)"
        " from collection where collection.id = collection_id and collection.name = %(name)s",
        {"hours": hours, "name": collection},
    )


def test_a_fresh_corpus_requests_and_tells_nothing(web: HttpReceiver, daemon: Daemon) -> None:
    daemon.round()
    daemon.round()

    assert (daemon.runs, web.came) == ([], [])


def test_a_stale_corpus_is_told_run_and_recovers(web: HttpReceiver, daemon: Daemon) -> None:
    age(daemon.bench, "two", 10)

    for _round in range(3):
        daemon.round()

    key = "check:search_index:freshness:acme/two"
    assert web.events() == [("opened", key), ("recovered", key)]
    assert [body["severity"] for _path, body, _id in web.came] == ["error", "error"]
    assert web.came[0][1]["kind"] == "freshness"
    assert "last seen whole 10 h ago" in web.came[0][1]["detail"]
    ((partition, reason),) = daemon.runs
    assert partition == "acme/two"
    assert reason.startswith("check freshness failed: A source was last seen")


def test_restarts_neither_lose_nor_double(web: HttpReceiver, daemon: Daemon) -> None:
    age(daemon.bench, "two", 10)

    for step in (daemon.look, daemon.alert, daemon.request, daemon.alert) * 2:
        daemon.restart()
        step()

    assert [event for event, _key in web.events()] == ["opened", "recovered"]
    assert len(daemon.runs) == 1


def test_a_cause_that_persists_makes_no_loop(web: HttpReceiver, daemon: Daemon) -> None:
    bench = daemon.bench
    bench.sources["fake://two/"].is_complete = False  # no look at it is whole
    age(bench, "two", 10)

    for _round in range(5):
        daemon.round()
    assert len(daemon.runs) == 1
    assert [event for event, _key in web.events()] == ["opened"]

    bench.conn.execute("update reindex_request set requested_at = now() - interval '61 minutes'")
    for _round in range(3):
        daemon.round()
    assert len(daemon.runs) == 2
    bench.conn.execute(
        "update reindex_request set requested_at = requested_at - interval '61 minutes'"
    )
    daemon.round()
    assert len(daemon.runs) == 2  # the second time it waits twice as long


def test_the_budget_of_embeddings_holds_requests_back(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_REINDEX_EMBEDDINGS_PER_DAY", "1")
    age(daemon.bench, "two", 10)
    daemon.look()
    daemon.alert()

    result = daemon.request()

    assert daemon.runs == []
    assert "embeddings of the day are used up" in str(result.skip_reason)
    daemon.bench.conn.execute("update stage_run set ended_at = now() - interval '25 hours'")
    daemon.request()
    assert len(daemon.runs) == 1


def test_a_partition_under_way_is_left_alone(daemon: Daemon) -> None:
    age(daemon.bench, "two", 10)
    leave_a_run(daemon.bench, dg.DagsterRunStatus.QUEUED, "acme/two")
    daemon.look()
    daemon.alert()

    daemon.request()

    assert daemon.runs == []


def test_a_changed_configuration_requests_each_partition_once(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_CHUNK_SIZE", "16")

    for _round in range(3):
        daemon.request()

    assert sorted(daemon.runs) == [
        ("acme/one", "the configuration has changed"),
        ("acme/two", "the configuration has changed"),
    ]


def schedule(bench: Bench, days: float, kind: Kind = "ingest") -> int:
    found = collections.find_collection(bench.conn, CollectionName.parse("acme/one"))
    schedules.set_schedule(bench.conn, found.id, Rhythm(days), kind)
    return found.id


def test_a_schedule_runs_its_collection_at_once_and_then_in_its_rhythm(daemon: Daemon) -> None:
    schedule(daemon.bench, 0.5)

    for _round in range(3):
        daemon.restart()
        daemon.request()
    assert daemon.runs == [("acme/one", "schedule: every 0.5 days")]

    daemon.bench.conn.execute("update schedule set last_run_at = now() - interval '13 hours'")
    for _round in range(3):
        daemon.request()
    assert len(daemon.runs) == 2


def test_a_scheduled_run_that_fails_is_tried_three_times(daemon: Daemon) -> None:
    bench = daemon.bench
    schedule(bench, 0.5)
    now = datetime.now(UTC)
    asked = []
    for minute in range(30):
        request_runs(bench.conn, bench.instance, now + timedelta(minutes=minute))
        rows = schedules.recent_requests(bench.conn, 0, now - timedelta(hours=1))
        if len(rows) > len(asked):
            asked.append(minute)
            tags = {"rag/cause": rows[-1]["cause"]}
            _leave_failed(bench, tags)

    assert asked == [0, 1, 3]
    (row,) = schedules.schedules(bench.conn)
    assert row["last_run_at"] is not None


def test_an_evaluation_has_a_schedule_of_its_own_and_what_got_worse_is_told(
    web: HttpReceiver, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = daemon.bench
    items = [Item(f"q{n}", f"Of one {n}.", None, None, (Relevant("a.txt"),)) for n in range(20)]
    one = collections.find_collection(bench.conn, CollectionName.parse("acme/one"))
    import_dataset(bench.conn, one, "golden", items)
    monkeypatch.setenv("RAG_GATE_MIN_QUESTIONS", "10")
    schedule(bench, 0.5)
    schedule(bench, 1.0, "evaluation")

    for _round in range(4):
        daemon.round()
    reasons = ["schedule: every 0.5 days", "schedule: every 1 days"]
    assert sorted(daemon.runs) == [("acme/one", reason) for reason in reasons]
    (first,) = evaluation.experiments(bench.conn, one.id)
    assert first["means"]["recall@10"] == 1.0
    assert web.came == []

    # what people ask for is gone, and nobody noticed
    bench.conn.execute('update dataset_item set relevant = \'[{"document": "gone.txt"}]\'')
    bench.conn.execute("update schedule set last_run_at = now() - interval '25 hours'"
                       " where kind = 'evaluation'")  # fmt: skip
    for _round in range(3):
        daemon.round()
    assert len(evaluation.experiments(bench.conn, one.id)) == 2
    ((_path, body, _id),) = web.came
    assert (body["event"], body["kind"], body["severity"]) == ("opened", "check", "error")
    assert body["key"] == "check:evaluation:quality_holds:acme/one"
    assert "recall@10: it drops by 1.000" in body["detail"]


def _leave_failed(bench: Bench, tags: dict[str, str]) -> None:
    bench.instance.create_run_for_job(
        job_def=bench.definitions.get_repository_def().get_job("ingest"),
        tags={"dagster/partition": "acme/one", **tags},
        status=dg.DagsterRunStatus.FAILURE,
    )


def test_a_failed_run_and_a_stuck_run_are_told(
    web: HttpReceiver, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rag.errors import ConfigurationError

    bench = daemon.bench
    bench.unreachable["fake://one/"] = ConfigurationError("no such source", code="bad_source")
    bench.run("acme/one")
    daemon.alert()
    del bench.unreachable["fake://one/"]
    bench.run("acme/one")
    daemon.alert()
    assert ("opened", "run:ingest:acme/one") in web.events()
    assert ("recovered", "run:ingest:acme/one") in web.events()

    web.came.clear()
    monkeypatch.setenv("RAG_ALERT_STUCK_RUN_S", "0.001")
    leave_a_run(bench, dg.DagsterRunStatus.STARTED, "acme/two")
    daemon.alert()
    daemon.alert()
    assert [(body["event"], body["kind"]) for _p, body, _i in web.came] == [("opened", "stuck_run")]
