"""The jobs beside the graph, launched as from the UI."""

from __future__ import annotations

import dagster as dg
import pytest

from rag_assets_tests.assets.bench import DAGSTER_WARNINGS, Bench, failure_of, fake_resources
from rag_assets_tests.world import assert_world_is_sound, served

pytestmark = [pytest.mark.slow, DAGSTER_WARNINGS]


def launch(
    bench: Bench, job: str, config: dict[str, object] | None = None
) -> dg.ExecuteInProcessResult:
    """One run of a job of the code location."""
    run_config = {"ops": {"make_failures_due": {"config": config}}} if config else {}
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


def test_a_collection_that_is_not_there_is_named(bench: Bench) -> None:
    result = launch(bench, "retry_failed", {"collection": "acme/none"})

    assert not result.success
    assert "There is no collection acme/none" in failure_of(result)
