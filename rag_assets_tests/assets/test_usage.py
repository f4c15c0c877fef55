"""A day's questions and feedback as assets: what the numbers are, and of which day."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from rag.model import CollectionName, Hit
from rag.store import query_log
from rag.store.query_log import Answered, Asked, Feedback
from rag_assets_tests.answer.hits import hit
from rag_assets_tests.assets.bench import DAGSTER_WARNINGS, Bench, fake_resources

pytestmark = [pytest.mark.slow, DAGSTER_WARNINGS]

DAY = "2026-03-01"
ACME = CollectionName("acme", "docs")


def materialise(bench: Bench, day: str = DAY) -> dict[str, dict[str, object]]:
    """Metadata by asset of one run of the job for a day."""
    job = bench.definitions.get_repository_def().get_job("usage")
    result = job.execute_in_process(
        instance=bench.instance, partition_key=day, raise_on_error=True,
        resources={"database": fake_resources(bench)["database"]},
    )  # fmt: skip
    found = {}
    for event in result.get_asset_materialization_events():
        made = event.materialization
        assert made.partition == day
        name = made.asset_key.to_user_string()
        found[name] = {key: value.value for key, value in made.metadata.items()}
    return found


def ask(bench: Bench, hits: list[Hit], ms: float, at: str = "12:00") -> uuid.UUID:
    asked = Asked(uuid.uuid4(), ACME, "rag_1", "q", "hybrid", 4, {}, None, 0.0, ms)
    query_log.record_query(bench.conn, asked, 1, hits)
    bench.conn.execute(
        "update query_log set asked_at = %s where id = %s", [f"{DAY} {at}+00", asked.id]
    )
    return asked.id


def say(bench: Bench, query_id: uuid.UUID, thumb: str, document: str | None = None) -> None:
    made = query_log.record_feedback(
        bench.conn, Feedback(query_id, "rag_1", thumb, document=document)
    )
    bench.conn.execute("update feedback set given_at = %s where id = %s", [f"{DAY} 13:00+00", made])


def test_the_numbers_of_a_day(bench: Bench) -> None:
    source = bench.collect()
    source.put("a.txt", b"Text.")
    source.put("b.txt", b"Other.")
    bench.run()
    rows = bench.conn.execute("select id from document order by uri").fetchall()
    hits = [hit("Text.", rows[0]["id"])]
    first = ask(bench, hits, 10.0)
    for ms in (20.0, 30.0):
        ask(bench, hits, ms)
    empty = ask(bench, [], 40.0)
    for query_id, outcome in ((first, "answered"), (empty, "unknown")):
        query_log.record_answer(
            bench.conn,
            Answered(query_id, "q", "a", outcome, 100.0, prompt_tokens=7),  # type: ignore[arg-type]
        )
    say(bench, first, "up", "a.txt")
    say(bench, first, "down", "b.txt")
    say(bench, empty, "down")
    ask(bench, hits, 99.0, at="23:59:59.999")

    found = materialise(bench)

    queries, feedback = found["query_log"], found["feedback"]
    assert (queries["queries"], queries["zero_hit"], queries["zero_hit_rate"]) == (5, 1, 0.2)
    assert (queries["answers"], queries["unknown"], queries["unknown_rate"]) == (2, 1, 0.5)
    assert queries["prompt_tokens"] == 14 and queries["search_p50_ms"] == 30.0
    assert queries["answer_p95_ms"] == 100.0 and queries["dagster/partition_row_count"] == 5
    assert "acme/docs" in str(queries["collections_table"])
    assert (feedback["up"], feedback["down"], feedback["given"]) == (1, 2, 3)
    assert feedback["down_rate"] == 0.6667
    assert (feedback["expected"], feedback["expected_missed"]) == (2, 1)


def test_a_day_without_questions_has_numbers_but_no_shares(bench: Bench) -> None:
    found = materialise(bench, "2026-02-01")

    assert found["query_log"]["queries"] == found["feedback"]["given"] == 0
    assert "zero_hit_rate" not in found["query_log"] and "down_rate" not in found["feedback"]
    assert found["query_log"]["collections_table"] == "none"


def test_the_schedule_closes_the_day_that_ended(bench: Bench) -> None:
    repository = bench.definitions.get_repository_def()
    schedule = repository.get_schedule_def("usage_schedule")
    at = datetime(2026, 3, 2, 0, 17, tzinfo=UTC)
    with dg.build_schedule_context(
        instance=bench.instance, scheduled_execution_time=at, repository_def=repository
    ) as context:
        data = schedule.evaluate_tick(context)

    assert [request.partition_key for request in data.run_requests or []] == [DAY]
    assert (at - timedelta(days=1)).strftime("%Y-%m-%d") == DAY
