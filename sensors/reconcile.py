"""Every hour each shard is brought up to date, whatever the sensor believes."""

from __future__ import annotations

import dagster as dg

from rag_assets.jobs import ingest
from rag_assets.partitions import COLLECTIONS
from sensors.run_history import partitions_under_way


@dg.schedule(
    job=ingest,
    cron_schedule="17 * * * *",  # not on the hour, when everybody else's schedules run
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Requests a run of every collection shard each hour, so that nothing depends on "
    "the sensor alone. A shard that is up to date costs its listing.",
)
def reconcile_schedule(
    context: dg.ScheduleEvaluationContext,
) -> list[dg.RunRequest] | dg.SkipReason:
    """One run per partition that has none under way."""
    busy = partitions_under_way(context.instance)
    partitions = context.instance.get_dynamic_partitions(COLLECTIONS)
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
