"""Looks how current every collection is, and has the check `freshness` run where that changes.

A stale collection is one that no run touches: a check that only ingest runs reach would never fail.
(Dagster takes a check result without a run only once per partition, so the check gets a run.)"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import dagster as dg

from rag.errors import TransientError
from rag_assets.jobs import FRESHNESS, inspection
from resources.postgres import DatabaseResource
from sensors.run_history import partitions_under_way

if TYPE_CHECKING:
    from rag.store.database import Connection


def freshness_sensor(interval_s: int) -> dg.SensorDefinition:
    """The sensor, looking every `interval_s` seconds."""

    @dg.sensor(
        name="freshness_sensor",
        job=inspection,
        minimum_interval_seconds=interval_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Measures from the store how long changes wait for search and how long ago "
        "sources were last seen whole, and requests the check `freshness` of each partition whose "
        "state has changed.",
    )
    def sense(context: dg.SensorEvaluationContext, database: DatabaseResource) -> dg.SensorResult:
        return _tick(context, database)

    return sense


def _tick(context: dg.SensorEvaluationContext, database: DatabaseResource) -> dg.SensorResult:
    """One look; the cursor holds the states that were last checked."""
    known: dict[str, str] = json.loads(context.cursor or "{}")
    try:
        busy = partitions_under_way(context.instance)
        with database.connect() as conn:
            states = look(conn)
    except TransientError as error:
        return dg.SensorResult(skip_reason=error.message, cursor=context.cursor)
    changed = [name for name in states if known.get(name, "fresh") != states[name]]
    # an ingest run checks it itself
    requests = [
        dg.RunRequest(
            partition_key=partition,
            asset_check_keys=[FRESHNESS],
            tags={"rag/reason": f"the partition is {states[partition]}"},
        )
        for partition in changed
        if partition not in busy
    ]
    # what is busy now is looked at again
    checked = {
        name: known.get(name, "fresh") if name in busy else state for name, state in states.items()
    }
    reason = None if requests else f"{len(states)} partitions, none has changed"
    return dg.SensorResult(run_requests=requests, skip_reason=reason, cursor=json.dumps(checked))


def look(conn: Connection) -> dict[str, str]:
    """The state of each partition."""
    from rag.freshness import measure
    from rag.model import CollectionName
    from rag.settings import load_settings
    from rag.store.collections import find_collection, list_collections

    settings = load_settings()
    states: dict[str, str] = {}
    for row in list_collections(conn):
        collection = find_collection(conn, CollectionName(row["namespace"], row["name"]))
        for shard in collection.shard_list():
            states[shard.partition_key] = measure(conn, collection, settings, shard.index).state
    return states
