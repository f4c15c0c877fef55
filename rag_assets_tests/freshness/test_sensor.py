"""A partition whose state changes has its check run, by the job as the daemon sees it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import dagster as dg
import pytest

from rag_assets.jobs import FRESHNESS, inspection
from rag_assets_tests.assets.bench import DAGSTER_WARNINGS, Bench, fake_resources, leave_a_run
from sensors.drift import drift_schedule
from sensors.freshness import freshness_sensor

pytestmark = [pytest.mark.slow, DAGSTER_WARNINGS]

AT = datetime(2026, 1, 1, 10, 37, tzinfo=UTC)


@pytest.fixture
def stale(bench: Bench) -> Bench:
    """A collection that nobody has looked at for ten hours."""
    bench.collect().put("a.txt", b"Some text.")
    bench.run()
    bench.conn.execute("update source set listed_at = now() - interval '10 hours'")
    return bench


def look(bench: Bench, cursor: str | None = None) -> dg.SensorResult:
    context = dg.build_sensor_context(
        instance=bench.instance,
        cursor=cursor,
        resources={"database": fake_resources(bench)["database"]},
    )
    result = freshness_sensor(30)(context)
    assert isinstance(result, dg.SensorResult)
    return result


def test_a_changed_state_is_checked_once(stale: Bench) -> None:
    first = look(stale)
    (request,) = first.run_requests or []
    assert (request.partition_key, request.asset_check_keys) == ("acme/docs", [FRESHNESS])
    assert json.loads(first.cursor or "") == {"acme/docs": "stale"}

    assert not look(stale, first.cursor).run_requests

    stale.run()  # it checks freshness itself, and the sensor sees that all is well
    assert look(stale, first.cursor).run_requests


def test_a_partition_under_way_is_looked_at_again(stale: Bench) -> None:
    leave_a_run(stale, dg.DagsterRunStatus.QUEUED)

    result = look(stale)

    assert not result.run_requests
    assert json.loads(result.cursor or "") == {"acme/docs": "fresh"}


def test_the_requested_run_is_of_the_check_alone(stale: Bench) -> None:
    (request,) = look(stale).run_requests or []
    repository = stale.definitions.get_repository_def()
    job = repository.get_job(inspection.name)
    assert freshness_sensor(30).job_name == inspection.name
    # as Dagster's daemon asks for it: no assets named, and the partition as a tag
    alone = job.get_subset(
        asset_selection=None, asset_check_selection=set(request.asset_check_keys or [])
    )

    result = alone.execute_in_process(
        instance=stale.instance, partition_key=request.partition_key, raise_on_error=False
    )

    (found,) = result.get_asset_check_evaluations()
    assert (found.check_name, found.partition, found.passed) == ("freshness", "acme/docs", False)
    assert found.severity == dg.AssetCheckSeverity.ERROR
    assert found.metadata["unseen_s"].value == pytest.approx(36_000, abs=60)
    assert result.get_asset_materialization_events() == []


def test_drift_is_requested_for_idle_partitions(bench: Bench) -> None:
    with dg.instance_for_test() as instance:
        bench.instance = instance
        bench.collect("acme/one", "fake://one/")
        bench.collect("acme/two", "fake://two/")
        leave_a_run(bench, dg.DagsterRunStatus.QUEUED, "acme/two")

        with dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=AT,
            resources={"database": fake_resources(bench)["database"]},
        ) as context:
            requests = drift_schedule(context)

    assert isinstance(requests, list)
    assert [request.partition_key for request in requests] == ["acme/one"]
