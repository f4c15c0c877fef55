"""Every hour each shard is brought up to date, whatever the sensors believe, or if none ticks."""

from __future__ import annotations

import dagster as dg

from rag.errors import TransientError
from rag_assets.jobs import ingest
from resources.postgres import DatabaseResource
from sensors.partitions import match_partitions
from sensors.run_history import partitions_under_way


@dg.schedule(
    job=ingest,
    cron_schedule="17 * * * *",  # not on the hour, when everybody else's schedules run
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Requests a run of every collection shard each hour, so that nothing depends on "
    "the sensor alone. A shard that is up to date costs its listing. Partitions are made for new "
    "collections, and those whose collection is gone are deleted.",
)
def reconcile_schedule(
    context: dg.ScheduleEvaluationContext, database: DatabaseResource
) -> list[dg.RunRequest] | dg.SkipReason:
    """One run per shard that has none under way."""
    busy = partitions_under_way(context.instance)
    try:
        with database.connect() as conn:
            partitions = match_partitions(conn, context.instance)
    except TransientError as error:
        return dg.SkipReason(error.message)
    requests = [
        dg.RunRequest(
            run_key=f"{partition}:{context.scheduled_execution_time:%Y-%m-%dT%H:%M}",
            partition_key=partition,
            tags={"rag/reason": "hourly reconciliation"},
        )
        for partition in partitions
        if partition not in busy
    ]
    return requests or dg.SkipReason(f"{len(partitions)} partitions, none idle")
