"""Jobs that are no part of the graph: sweeping what nothing uses, retrying what failed, and
backfills."""

# no `from __future__ import annotations`: dagster compares the annotation of `context` by identity
from datetime import UTC, datetime

import dagster as dg
from pydantic import Field

from rag.model import MOST_DAYS
from rag_assets.failures import named_failures
from resources.postgres import DatabaseResource


@dg.op(
    name="sweep_unused",
    description="Removes generations, parsed text, chunks and vectors that nothing has used for "
    "`retention_s`.",
)
def _sweep_unused(context: dg.OpExecutionContext, database: DatabaseResource) -> None:
    from rag.settings import load_settings
    from rag.store.retention import sweep as remove_unused

    with named_failures(), database.connect() as conn:
        settings = load_settings()
        removed = remove_unused(conn, settings.retention_s, settings.query_retention_days)
    context.add_output_metadata(dict(removed))
    context.log.info(", ".join(f"{count} {what} removed" for what, count in removed.items()))


@dg.job(
    executor_def=dg.in_process_executor,
    description="Removes what nothing has used for the setting `retention_s`: retired generations, "
    "parsed text, chunks, vectors. What is searchable stays, and so does each collection's last "
    "retired generation. Each namespace is a short transaction of its own.",
)
def sweep() -> None:
    """The daily clean-up."""
    _sweep_unused()


class RetryConfig(dg.Config):
    """What to retry."""

    collection: str = Field(description="The collection, as namespace/name.")
    uri: str | None = Field(
        default=None, description="Only this document's address; without it, every failed one."
    )


@dg.op(
    name="make_failures_due",
    description="Closes the open failures, so that the next run of the collection tries them.",
)
def _make_failures_due(
    context: dg.OpExecutionContext, config: RetryConfig, database: DatabaseResource
) -> None:
    from rag.model import CollectionName
    from rag.store import collections, ledger

    with named_failures(), database.connect() as conn:
        found = collections.find_collection(conn, CollectionName.parse(config.collection))
        due = ledger.retry(conn, found.id, config.uri)
    context.add_output_metadata({"due": due})
    context.log.info(f"{due} failures of {config.collection} are due; the sensor runs them now.")


@dg.job(
    executor_def=dg.in_process_executor,
    description="Makes failed documents of a collection due again, as `rag retry` does: their "
    "attempts are forgotten, and the sensor asks for the run that tries them.",
)
def retry_failed() -> None:
    """An operator's word on what waits for one."""
    _make_failures_due()


class BackfillConfig(dg.Config):
    """How far back, and what."""

    collection: str = Field(description="The collection, as namespace/name.")
    days: int | None = Field(
        default=None, ge=1, le=MOST_DAYS,
        description="How many days back; without it, the setting backfill_days.",
    )  # fmt: skip


@dg.op(
    name="move_bounds_back",
    description="Lets the bounded sources of a collection reach further back, and asks for a look.",
)
def _move_bounds_back(
    context: dg.OpExecutionContext, config: BackfillConfig, database: DatabaseResource
) -> None:
    from rag.ingest.backfill import backfill
    from rag.model import CollectionName
    from rag.settings import load_settings
    from rag.sources.selection import days_ago
    from rag.store import collections

    with named_failures(), database.connect() as conn:
        since = days_ago(config.days or load_settings().backfill_days, datetime.now(UTC))
        found = collections.find_collection(conn, CollectionName.parse(config.collection))
        reached = backfill(conn, found, since)
    moved = sum(each.is_moved for each in reached)
    context.add_output_metadata({"moved": moved, "since": since})
    context.log.info(f"{moved} of {len(reached)} sources now reach back to {since}.")


@dg.job(
    executor_def=dg.in_process_executor,
    description="Moves the bounds of a collection's sources back, never forward, as `rag backfill` "
    "does; the sensor asks for the run that takes what came into reach.",
)
def backfill_sources() -> None:
    """A backfill."""
    _move_bounds_back()


sweep_schedule = dg.ScheduleDefinition(
    name="sweep_schedule",
    job=sweep,
    cron_schedule="43 3 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Sweeps once a day, at night.",
)
