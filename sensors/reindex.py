"""Requests runs of the partitions that a failed check, a new configuration or a schedule names."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from rag.errors import TransientError
from rag.fingerprint import digest
from rag.model import CollectionName
from rag_assets.code_versions import code_versions
from rag_assets.evaluation import evaluate
from rag_assets.jobs import ingest
from resources.postgres import DatabaseResource
from sensors.partitions import ensure_partitions
from sensors.run_history import PARTITION_TAG, UNDER_WAY, partitions_under_way

if TYPE_CHECKING:
    from rag.model import Shard
    from rag.reindex import Cause, RunState
    from rag.settings import Settings
    from rag.store.collections import Collection
    from rag.store.database import Connection, Row

CAUSE_TAG = "rag/cause"
# a request that has not become a run in this time is too old to become one
_LASTS = timedelta(hours=1)


def reindex_sensor(interval_s: int) -> dg.SensorDefinition:
    """The sensor, looking every `interval_s` seconds."""

    @dg.sensor(
        name="reindex_sensor",
        jobs=[ingest, evaluate],
        minimum_interval_seconds=interval_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Requests a run of exactly the partitions whose check of freshness or drift "
        "fails, whose configuration has changed, or whose schedule is due, and evaluations that "
        "are due, with the reason as the tag `rag/reason`; after a cool-down that doubles while "
        "the cause persists, and within the budget `reindex_embeddings_per_day`.",
    )
    def sense(context: dg.SensorEvaluationContext, database: DatabaseResource) -> dg.SensorResult:
        return _tick(context, database)

    return sense


def _tick(context: dg.SensorEvaluationContext, database: DatabaseResource) -> dg.SensorResult:
    """What is due, as run requests; the cursor is the last request that became one."""
    now = datetime.now(UTC)
    after = int(context.cursor or 0)
    try:
        with database.connect() as conn:
            notes = request_runs(conn, context.instance, now)
            rows = _recent(conn, after, now)
    except TransientError as error:
        return dg.SensorResult(skip_reason=error.message, cursor=context.cursor)
    requests = [_run_request(row) for row in rows]
    reason = None if requests else "; ".join(notes) or "Nothing is due."
    cursor = str(max([after, *(row["id"] for row in rows)]))
    return dg.SensorResult(run_requests=requests, skip_reason=reason, cursor=cursor)


def request_runs(conn: Connection, instance: dg.DagsterInstance, now: datetime) -> list[str]:
    """Record a request for each cause that may ask; returns what is held back, and why."""
    from rag.reindex import ask
    from rag.settings import load_settings
    from rag.store import schedules

    settings = load_settings()
    notes: list[str] = []
    with conn.transaction():
        schedules.lock_requests(conn)
        collections = _collections(conn)
        ensure_partitions(instance, list(collections.values()))
        busy = partitions_under_way(instance)
        asked: set[Shard] = set()
        for cause in _causes(conn, instance, collections, settings, now):
            if cause.shard in asked:
                continue
            partition = cause.shard.partition_key
            if cause.reason and partition in busy:
                notes.append(f"{partition} is being brought up to date")
                continue
            became = ask(conn, cause, collections[cause.shard.name], now, settings)
            if became == "asked" and cause.reason:
                asked.add(cause.shard)
            elif became == "budget":
                notes.append(f"{partition} waits: its embeddings of the day are used up")
            elif became == "waits":
                notes.append(f"{partition} waits: {cause.reason}")
    return notes


def _collections(conn: Connection) -> dict[CollectionName, Collection]:
    from rag.store.collections import find_collection, list_collections

    names = [CollectionName(row["namespace"], row["name"]) for row in list_collections(conn)]
    return {name: find_collection(conn, name) for name in names}


def _causes(
    conn: Connection,
    instance: dg.DagsterInstance,
    collections: dict[CollectionName, Collection],
    settings: Settings,
    now: datetime,
) -> Iterator[Cause]:
    from rag.reindex import configuration_cause, incident_causes
    from rag.store.alerts import incidents

    shards = {
        shard.partition_key: shard for item in collections.values() for shard in item.shard_list()
    }
    failing = incidents(conn, open_only=True, kinds=("freshness", "drift"))
    yield from incident_causes(failing, shards, settings)
    versions = digest([f"{name}={code}" for name, code in code_versions(settings).items()]).hex()
    for shard in shards.values():
        cause = configuration_cause(conn, shard, collections[shard.name], versions[:16], settings)
        if cause is not None:
            yield cause
    yield from _scheduled(conn, instance, collections, now)


def _scheduled(
    conn: Connection,
    instance: dg.DagsterInstance,
    collections: dict[CollectionName, Collection],
    now: datetime,
) -> Iterator[Cause]:
    """Shards whose schedule is due and that have not been run for it, or whose run failed."""
    from rag.reindex import TRIES, Cause, is_settled, schedule_due
    from rag.schedules import Rhythm
    from rag.store import schedules

    for row in schedules.schedules(conn):
        name = schedule_due(row, now)
        if name is None:
            continue
        collection = collections[CollectionName(row["namespace"], row["collection"])]
        # an evaluation is of the whole collection, whichever shard it is launched for
        shards = collection.shard_list()[: 1 if row["kind"] == "evaluation" else None]
        states: dict[int, RunState] = {}
        times: dict[int, int] = {}
        for shard in shards:
            given = schedules.requests_of_cause(conn, collection.id, shard.index, name)
            times[shard.index] = given[0]
            states[shard.index] = _state(instance, shard, name, given, now)
        if is_settled(states, times):
            schedules.mark_run(conn, collection.id, row["kind"], now)
            continue
        reason = f"schedule: {Rhythm(row['every_days'], row['cron'])}"
        for shard in shards:
            if states[shard.index] in ("failed", "unknown"):
                yield Cause(shard, name, reason, TRIES, 60.0, row["kind"])


def _state(
    instance: dg.DagsterInstance,
    shard: Shard,
    cause: str,
    asked: tuple[int, datetime | None],
    now: datetime,
) -> RunState:
    tags = {CAUSE_TAG: cause, PARTITION_TAG: shard.partition_key}
    run = next(iter(instance.get_runs(filters=dg.RunsFilter(tags=tags), limit=1)), None)
    if run is not None and run.status in UNDER_WAY:
        return "under way"
    if run is not None:
        return "succeeded" if run.status == dg.DagsterRunStatus.SUCCESS else "failed"
    is_lost = asked[1] is not None and now - asked[1] > _LASTS
    return "failed" if is_lost else "unknown"


def _recent(conn: Connection, after: int, now: datetime) -> list[Row]:
    from rag.store.schedules import recent_requests

    return recent_requests(conn, after, now - _LASTS)


def _run_request(row: Row) -> dg.RunRequest:
    from rag.reindex import kind_of, shard_of_request

    job = evaluate if kind_of(row["cause"]) == "evaluation" else ingest
    return dg.RunRequest(
        job_name=job.name,
        run_key=f"reindex:{row['id']}",
        partition_key=shard_of_request(row).partition_key,
        tags={"rag/reason": row["reason"], CAUSE_TAG: row["cause"]},
    )
