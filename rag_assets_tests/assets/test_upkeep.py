"""The jobs beside the graph, launched as from the UI."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from rag.model import CollectionName
from rag.sources.selection import days_ago
from rag.store.collections import add_source, find_collection
from rag_assets_tests.assets.bench import DAGSTER_WARNINGS, Bench, failure_of, fake_resources
from rag_assets_tests.world import assert_world_is_sound, served

pytestmark = [pytest.mark.slow, DAGSTER_WARNINGS]


def launch(
    bench: Bench, job: str, config: dict[str, object] | None = None, op: str = "make_failures_due"
) -> dg.ExecuteInProcessResult:
    """One run of a job of the code location."""
    run_config = {"ops": {op: {"config": config}}} if config else {}
    definition = bench.definitions.get_repository_def().get_job(job)
    return definition.execute_in_process(
        run_config, instance=bench.instance, raise_on_error=False,
        resources={"database": fake_resources(bench)["database"]},
    )  # fmt: skip


def numbers(result: dg.ExecuteInProcessResult) -> dict[str, object]:
    """What the op says it did."""
    (event,) = (e for e in result.all_events if e.is_successful_output)
    metadata = event.step_output_data.metadata
    return {name: value.value for name, value in metadata.items()}


def test_the_sweep_removes_what_is_unused_longer_than_the_retention(bench: Bench) -> None:
    source = bench.collect()
    source.put("a.txt", b"Text.")
    source.put("b.txt", b"Other text.")
    bench.run()
    source.delete("a.txt")
    bench.run()

    fresh = numbers(launch(bench, "sweep"))
    bench.conn.execute(b"update parsed set parsed_at = now() - interval '8 days'")
    bench.conn.execute(b"update embedding set created_at = now() - interval '8 days'")
    made_long_ago = numbers(launch(bench, "sweep"))
    bench.conn.execute(b"update document set deleted_at = now() - interval '8 days'"
                       b" where deleted_at is not null")  # fmt: skip
    old = numbers(launch(bench, "sweep"))

    assert fresh == made_long_ago == {"generations": 0, "parsed": 0, "embeddings": 0}
    assert old == {"generations": 0, "parsed": 1, "embeddings": 1}
    assert_world_is_sound(bench.conn)
    assert list(served(bench.conn, "acme/docs").values()) == ["Other text."]


def test_failures_made_due_are_tried_by_the_run_the_sensor_asks_for(bench: Bench) -> None:
    source = bench.collect()
    source.put("a.txt", b"BROKEN")
    source.put("b.txt", b"BROKEN")
    bench.run()
    parsed = len(bench.parser.parsed)
    assert not bench.tick().run_requests

    one = launch(bench, "retry_failed", {"collection": "acme/docs", "uri": "fake://bucket/a.txt"})
    bench.run_requested()

    assert numbers(one) == {"due": 1}
    assert bench.parser.parsed[parsed:] == ["a.txt"]
    assert numbers(launch(bench, "retry_failed", {"collection": "acme/docs"})) == {"due": 2}


def test_what_a_backfill_brings_into_reach_is_taken_by_the_run_the_sensor_asks_for(
    bench: Bench,
) -> None:
    source = bench.collect()
    source.put("old.txt", b"Old.", at=datetime.now(UTC) - timedelta(days=300))
    source.put("older.txt", b"Older.", at=datetime.now(UTC) - timedelta(days=500))
    found = find_collection(bench.conn, CollectionName.parse("acme/docs"))
    today = days_ago(0, datetime.now(UTC))
    source.put("new.txt", b"New.", at=datetime.now(UTC))
    add_source(bench.conn, found, source.uri, since=today)
    bench.run()
    assert list(served(bench.conn, "acme/docs").values()) == ["New."]
    assert not bench.tick().run_requests

    def launched(**config: object) -> dict[str, object]:
        given: dict[str, object] = {"collection": "acme/docs", **config}
        return numbers(launch(bench, "backfill_sources", given, "move_bounds_back"))

    assert launched()["moved"] == 1
    bench.run_requested()
    assert sorted(served(bench.conn, "acme/docs").values()) == ["New.", "Old."]
    assert [launched(days=days)["moved"] for days in (30, 600)] == [0, 1]
    bench.run_requested()
    assert len(served(bench.conn, "acme/docs")) == 3


def test_a_collection_that_is_not_there_is_named(bench: Bench) -> None:
    result = launch(bench, "retry_failed", {"collection": "acme/none"})

    assert not result.success
    assert "There is no collection acme/none" in failure_of(result)
