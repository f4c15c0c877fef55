"""Looks how current every collection is, and records the check `freshness` when that changes.

A stale collection is one that no run touches: a check that only runs report would never fail."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import dagster as dg

from rag.errors import TransientError
from rag_assets.checks import evaluation
from rag_assets.freshness import verdict_of
from resources.postgres import DatabaseResource

if TYPE_CHECKING:
    from rag.store.database import Connection


@dg.sensor(
    name="freshness_sensor",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Measures from the store how long changes wait for search and how long ago sources "
    "were last seen whole, and reports the check `freshness` of `search_index` for each partition "
    "whose state has changed, without a run.",
)
def freshness_sensor(
    context: dg.SensorEvaluationContext, database: DatabaseResource
) -> dg.SensorResult:
    """One look; the cursor holds the states last reported."""
    known: dict[str, str] = json.loads(context.cursor or "{}")
    try:
        with database.connect() as conn:
            evaluations, states = look(conn, known)
    except TransientError as error:
        return dg.SensorResult(skip_reason=error.message, cursor=context.cursor)
    reason = f"{len(states)} partitions, {len(evaluations)} changed"
    return dg.SensorResult(asset_events=evaluations, skip_reason=reason, cursor=json.dumps(states))


def look(
    conn: Connection, known: dict[str, str]
) -> tuple[list[dg.AssetCheckEvaluation], dict[str, str]]:
    """Evaluations of the partitions whose state is another than the known one, and all states."""
    from rag.freshness import measure, objective_of
    from rag.model import CollectionName
    from rag.settings import load_settings
    from rag.store.collections import find_collection, list_collections

    settings = load_settings()
    evaluations: list[dg.AssetCheckEvaluation] = []
    states: dict[str, str] = {}
    for row in list_collections(conn):
        collection = find_collection(conn, CollectionName(row["namespace"], row["name"]))
        objective = objective_of(conn, collection, settings)
        for shard in collection.shard_list():
            found = measure(conn, collection, shard.index)
            partition = shard.partition_key
            states[partition] = found.state(objective)
            if known.get(partition, "fresh") != states[partition]:
                verdict = verdict_of(found, objective)
                evaluations.append(evaluation("search_index", "freshness", verdict, partition))
    return evaluations, states
