"""The hourly run of every partition."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg
import pytest

from rag_assets_tests.assets.bench import DAGSTER_WARNINGS, Bench, leave_a_run
from sensors.reconcile import reconcile_schedule

pytestmark = [pytest.mark.slow, DAGSTER_WARNINGS]


@pytest.fixture(autouse=True)
def _instance_on_disk(bench: Bench) -> Iterator[None]:
    """A schedule's context only takes an instance that another process could open."""
    with dg.instance_for_test() as instance:
        bench.instance = instance
        yield


def _evaluate(bench: Bench) -> object:
    at = datetime(2026, 1, 1, 10, 17, tzinfo=UTC)
    return reconcile_schedule(
        dg.build_schedule_context(instance=bench.instance, scheduled_execution_time=at)
    )


def test_every_partition_is_asked_for_whatever_it_holds(bench: Bench) -> None:
    bench.collect("acme/one", "fake://one/")
    bench.collect("acme/two", "fake://two/")

    requests = _evaluate(bench)

    assert isinstance(requests, list)
    assert [request.run_key for request in requests] == [
        "acme/one:2026-01-01T10:17",
        "acme/two:2026-01-01T10:17",
    ]


def test_a_partition_under_way_is_left_alone(bench: Bench) -> None:
    bench.collect()
    leave_a_run(bench, dg.DagsterRunStatus.QUEUED)

    assert isinstance(_evaluate(bench), dg.SkipReason)
