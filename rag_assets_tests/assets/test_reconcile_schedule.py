"""The hourly run of every partition."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg
import pytest

from rag.store.collections import list_collections
from rag.store.database import Connection, Row
from rag_assets_tests.assets.bench import DAGSTER_WARNINGS, Bench, fake_resources, leave_a_run
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
    # a context that is not left keeps an instance open, which dagster then meets elsewhere
    with dg.build_schedule_context(
        instance=bench.instance,
        scheduled_execution_time=at,
        resources={"database": fake_resources(bench)["database"]},
    ) as context:
        return reconcile_schedule(context)


def _partitions(bench: Bench) -> set[str]:
    return set(bench.instance.get_dynamic_partitions("collections"))


def test_every_shard_is_asked_for_though_no_sensor_ever_ticked(bench: Bench) -> None:
    bench.collect("acme/one", "fake://one/")
    bench.collect("acme/two", "fake://two/")

    requests = _evaluate(bench)

    assert isinstance(requests, list)
    assert [request.run_key for request in requests] == [
        "acme/one:2026-01-01T10:17",
        "acme/two:2026-01-01T10:17",
    ]
    assert _partitions(bench) == {"acme/one", "acme/two"}


def test_a_partition_under_way_is_left_alone(bench: Bench) -> None:
    bench.collect()
    leave_a_run(bench, dg.DagsterRunStatus.QUEUED)

    assert isinstance(_evaluate(bench), dg.SkipReason)


def test_a_partition_goes_with_its_collection(bench: Bench) -> None:
    bench.collect()
    bench.collect("acme/gone", "fake://gone/", shards=2)
    _evaluate(bench)
    bench.conn.execute("delete from collection where name = 'gone'")

    requests = _evaluate(bench)

    assert isinstance(requests, list)
    assert [request.partition_key for request in requests] == ["acme/docs"]
    assert _partitions(bench) == {"acme/docs"}


def test_a_collection_made_while_the_schedule_looks_keeps_its_partition(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.collect()
    known = list_collections

    def made_meanwhile(conn: Connection) -> list[Row]:
        monkeypatch.undo()
        rows = known(conn)
        bench.collect("acme/late", "fake://late/")
        bench.instance.add_dynamic_partitions("collections", ["acme/late"])
        return rows

    monkeypatch.setattr("rag.store.collections.list_collections", made_meanwhile)
    _evaluate(bench)

    assert _partitions(bench) == {"acme/docs", "acme/late"}


def test_a_database_that_does_not_answer_deletes_no_partition(bench: Bench) -> None:
    bench.collect()
    _evaluate(bench)
    bench.database_url = "postgresql://rag@127.0.0.1:1/rag"

    assert isinstance(_evaluate(bench), dg.SkipReason)
    assert _partitions(bench) == {"acme/docs"}
