"""Has drift checked four times a day."""

from __future__ import annotations

import dagster as dg

from rag.errors import TransientError
from rag_assets.jobs import DRIFT, inspection
from resources.postgres import DatabaseResource
from sensors.partitions import match_partitions
from sensors.run_history import partitions_under_way


@dg.schedule(
    job=inspection,
    cron_schedule="37 */6 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Requests the checks of drift for every partition that has no run under way.",
)
def drift_schedule(
    context: dg.ScheduleEvaluationContext, database: DatabaseResource
) -> list[dg.RunRequest] | dg.SkipReason:
    """One run per idle partition."""
    busy = partitions_under_way(context.instance)
    try:
        with database.connect() as conn:
            partitions = match_partitions(conn, context.instance)
    except TransientError as error:
        return dg.SkipReason(error.message)
    requests = [
        dg.RunRequest(
            run_key=f"drift:{partition}:{context.scheduled_execution_time:%Y-%m-%dT%H:%M}",
            partition_key=partition,
            asset_check_keys=list(DRIFT),
            tags={"rag/reason": "the hours of the drift checks"},
        )
        for partition in partitions
        if partition not in busy
    ]
    return requests or dg.SkipReason("No partition is idle.")
