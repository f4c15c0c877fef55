"""What people ask and what they say of the answers: the logs of the service, a partition per day.

The service writes the tables; a materialisation closes a day's books and puts its numbers where
Dagster plots them. Running a day again reads it again and changes nothing.
"""

# no `from __future__ import annotations`: dagster compares the annotation of `context` by identity
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from rag_assets.failures import named_failures
from rag_assets.metadata import markdown_table
from resources.postgres import DatabaseResource

if TYPE_CHECKING:
    from rag.usage import DayReport

GROUP = "usage"
# the day in progress is a partition, too: it can be looked at before it is over
days = dg.DailyPartitionsDefinition(start_date="2026-01-01", timezone="UTC", end_offset=1)


@dg.asset(
    group_name=GROUP,
    kinds={"postgres"},
    owners=["team:data-platform"],
    partitions_def=days,
    tags={"stage": "usage"},
    metadata={
        "dagster/table_name": "query_log",
        "dagster/storage_kind": "postgres",
        "tables": "query_log, answer_log",
    },
)
def query_log(
    context: dg.AssetExecutionContext, database: DatabaseResource
) -> dg.MaterializeResult[None]:
    """Every question asked in a day (UTC), what it found, and what was answered.

    **Promises.** A row per search and answer over HTTP and MCP: question, filters, generation,
    passages with ranks and scores, answer, model, tokens, times. Also answers that were cancelled
    or that a failing model cut short.

    **Shows** per day: queries, share without a hit, share answered with "I don't know",
    cancelled and failed answers, what was taken out of answers, tokens, and the latency of
    searches and answers (median and 95th percentile), by collection where trouble was.

    **Lives in** the tables `query_log` and `answer_log`, written by the service. Hits hold no
    text; answers may quote documents and go when a document is erased.
    """
    from rag.usage import queries_of_day

    with named_failures(), database.connect() as conn:
        return dg.MaterializeResult(metadata=_metadata(queries_of_day(conn, _day(context))))


@dg.asset(
    deps=[query_log],
    group_name=GROUP,
    kinds={"postgres"},
    owners=["team:data-platform"],
    partitions_def=days,
    tags={"stage": "usage"},
    metadata={
        "dagster/table_name": "feedback",
        "dagster/storage_kind": "postgres",
        "tables": "feedback",
    },
)
def feedback(
    context: dg.AssetExecutionContext, database: DatabaseResource
) -> dg.MaterializeResult[None]:
    """What people said of answers in a day (UTC): thumbs, comments, and the passage that should
    have been found.

    **Promises.** A row per feedback, tied to its query in `query_log`. A passage that was named as
    the right one is compared with what the query found: `expected_missed` counts those it did not.

    **Shows** per day: thumbs up and down, share of thumbs down, comments, expected passages named
    and missed, by collection, most thumbs down first.

    **Lives in** the table `feedback`, written by the service.
    """
    from rag.usage import feedback_of_day

    with named_failures(), database.connect() as conn:
        return dg.MaterializeResult(metadata=_metadata(feedback_of_day(conn, _day(context))))


usage = dg.define_asset_job(
    "usage",
    selection=dg.AssetSelection.groups(GROUP),
    executor_def=dg.in_process_executor,
    description="Closes the books of one day: what was asked, answered and said.",
)


@dg.schedule(
    job=usage,
    cron_schedule="17 0 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Closes the books of the day that ended.",
)
def usage_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Yesterday's partition, shortly after midnight."""
    from datetime import timedelta

    yesterday = (context.scheduled_execution_time - timedelta(days=1)).strftime("%Y-%m-%d")
    return dg.RunRequest(run_key=yesterday, partition_key=yesterday)


USAGE_ASSETS = (query_log, feedback)


def _day(context: dg.AssetExecutionContext) -> datetime:
    start: datetime = context.partition_time_window.start
    return start


def _metadata(report: "DayReport") -> dict[str, dg.MetadataValue[Any]]:
    made: dict[str, dg.MetadataValue[Any]] = {
        name: dg.MetadataValue.int(number)
        if isinstance(number, int)
        else dg.MetadataValue.float(number)
        for name, number in report.numbers.items()
    }
    made["dagster/partition_row_count"] = dg.MetadataValue.int(report.rows)
    made["collections_table"] = dg.MetadataValue.md(_table(report.collections))
    return made


def _table(rows: Sequence[Mapping[str, object]]) -> str:
    if not rows:
        return "none"
    columns = tuple(rows[0])
    return markdown_table(columns, [tuple(row.values()) for row in rows])
