"""Wakes the graph when the object store's notification queue names something that changed.

A message is a hint, never truth: it makes a run look now, and what the run does is decided by its
listing. So duplicates, disorder and lost messages do no harm; the polling sensor and the hourly
reconciliation find what no message told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from rag.errors import TransientError
from rag.model import Shard
from rag_assets.jobs import ingest
from resources.postgres import DatabaseResource
from sensors.object_store import Look, requested_runs
from sensors.partitions import ensure_partitions
from sensors.run_history import partitions_under_way
from sensors.work import collection_of

if TYPE_CHECKING:
    from rag.store.database import Connection

LONG_POLL_S = 10


def queue_sensor(queue_url: str, region: str, *, long_poll_s: int = LONG_POLL_S) -> (
    dg.SensorDefinition
):  # fmt: skip
    """The consumer of one queue."""

    @dg.sensor(
        name="queue_sensor",
        job=ingest,
        minimum_interval_seconds=1,  # a tick that finds nothing waits at the queue itself
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Takes S3 event notifications from the queue `sqs_queue_url`, commits the "
        "objects they name as hints, deletes the messages, and requests one run per collection "
        "shard with hints. Malformed messages are left to the queue's dead-letter queue.",
    )
    def sense(context: dg.SensorEvaluationContext, database: DatabaseResource) -> dg.SensorResult:
        from rag.ingest.hints import take_hints
        from rag.sources.queue import open_queue
        from rag.store.hints import hinted_shards

        try:
            with database.connect() as conn:
                # hints that wait for a run's end are looked at each second
                wait_s = 0 if hinted_shards(conn) else long_poll_s
                taken = take_hints(conn, open_queue(queue_url, region), wait_s=wait_s)
                # runs first: one that ends while we look makes us wait a tick
                busy = partitions_under_way(context.instance)
                look = hinted_look(conn, context.instance)
        except TransientError as error:
            return dg.SensorResult(skip_reason=error.message)
        requests = list(requested_runs(context.instance, look, busy))
        said = f"{taken.messages} messages, {taken.hints} hints, {taken.malformed} malformed"
        reason = None if requests else "; ".join([said, *look.notes])
        return dg.SensorResult(run_requests=requests, skip_reason=reason)

    return sense


def hinted_look(conn: Connection, instance: dg.DagsterInstance) -> Look:
    """The shards with hints, as work; their partitions exist afterwards."""
    from rag.store.collections import find_collection
    from rag.store.hints import hinted_shards

    look = Look()
    rows = hinted_shards(conn)
    names = sorted({collection_of(row) for row in rows})
    ensure_partitions(instance, [find_collection(conn, name) for name in names])
    for row in rows:
        shard = Shard(collection_of(row), row["shard"], row["shards"])
        reason = f"{row['objects']} objects named by notifications"
        look.add(shard, f"hint:{row['newest']:%Y%m%dT%H%M%S.%f}", reason)
    return look
