"""Jobs that are no part of the graph: sweeping what nothing uses, retrying what failed."""

# no `from __future__ import annotations`: dagster compares the annotation of `context` by identity
import dagster as dg
from pydantic import Field

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


sweep_schedule = dg.ScheduleDefinition(
    name="sweep_schedule",
    job=sweep,
    cron_schedule="43 3 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Sweeps once a day, at night.",
)
