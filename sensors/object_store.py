"""Wakes the graph when a source holds something that search does not serve yet.

A tick lists sources, compares with the manifest in SQL, and requests one run per shard that has
work. It never touches a document: the run looks again and decides. What arrives while a run is
under way is seen by the next tick, for the comparison is with the manifest, not with a timestamp.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg

from rag.errors import RagError, TransientError
from rag.fingerprint import digest
from rag.ports import StatefulSource
from rag_assets.jobs import ingest
from resources.object_store import ObjectStoreResource
from resources.postgres import DatabaseResource
from sensors.partitions import ensure_partitions
from sensors.run_history import PLAN_TAG, RunHistory, history_of, partitions_under_way
from sensors.work import (
    ShardWork,
    collection_of,
    listed_work,
    scope_of,
    unfinished_work,
)

if TYPE_CHECKING:
    from rag.model import Shard
    from rag.store.collections import Collection
    from rag.store.database import Connection, Row

# Dagster ends a tick after 60 s, and forgets all that it saw
BUDGET_S = 40.0
# a source that says it is as it was is listed all the same after this long: its documents may have
# been changed by hand (`rag retry`)
SETTLED_S = 60.0


@dataclass(slots=True)
class Look:
    """What one tick has seen."""

    work: dict[str, ShardWork] = field(default_factory=dict)
    sources: int = 0
    notes: list[str] = field(default_factory=list)
    resume_after: int | None = None  # the last source looked at, when time ran out
    # by source: its state when a look found nothing to do, and when that was
    settled: dict[str, tuple[str, float]] = field(default_factory=dict)

    def add(self, shard: Shard, item: str, reason: str) -> None:
        key = shard.partition_key
        self.work.setdefault(key, ShardWork(shard)).add(item, reason)


def object_store_sensor(interval_s: int) -> dg.SensorDefinition:
    """The sensor, looking every `interval_s` seconds."""

    @dg.sensor(
        name="object_store_sensor",
        job=ingest,
        # Dagster counts from the look's beginning, which is a little later each time: a sensor that
        # is not quite due waits for the daemon's next round
        minimum_interval_seconds=max(1, interval_s - 1),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Lists every source, compares it with the manifest, and requests one run per "
        "collection shard that has something new, changed, gone, unfinished or due for a retry. "
        "While a run of a shard is queued or running it waits; after a failed one it backs off.",
    )
    def sense(
        context: dg.SensorEvaluationContext,
        database: DatabaseResource,
        object_store: ObjectStoreResource,
    ) -> dg.SensorResult:
        try:
            # runs first: one that ends while we look makes us wait a tick, never miss a change
            busy = partitions_under_way(context.instance)
            with database.connect() as conn:
                look = look_around(conn, object_store, context, busy)
        except TransientError as error:
            return dg.SensorResult(skip_reason=error.message, cursor=context.cursor)
        requests = list(requested_runs(context.instance, look, busy))
        cursor = json.dumps({"after": look.resume_after, "settled": look.settled})
        reason = None if requests else _summary(look)
        return dg.SensorResult(run_requests=requests, skip_reason=reason, cursor=cursor)

    return sense


def look_around(
    conn: Connection,
    object_store: ObjectStoreResource,
    context: dg.SensorEvaluationContext,
    busy: set[str],
) -> Look:
    """Look at the sources in turn, from where the last tick ran out of time, for 40 s. A listing
    that lasts longer is cut, and counts as incomplete."""
    from rag.settings import load_settings
    from rag.store.collections import all_sources, find_collection

    deadline = time.monotonic() + BUDGET_S
    rows = all_sources(conn)
    collections = {name: find_collection(conn, name) for name in sorted(map(collection_of, rows))}
    ensure_partitions(context.instance, list(collections.values()))
    seen = json.loads(context.cursor or "{}")
    look = Look(settled=seen.get("settled", {}))
    for shard, item, reason in unfinished_work(conn, load_settings()):
        look.add(shard, item, reason)
    before: int | None = None
    for row in _in_turn(rows, seen.get("after") or 0):
        collection = collections[collection_of(row)]
        if all(shard.partition_key in busy for shard in collection.shard_list()):
            continue
        is_cut = _look_at(conn, object_store, collection, row, look, deadline)
        if is_cut and before is not None:
            look.resume_after = before  # it began late: it comes first in the next tick
            break
        if is_cut or time.monotonic() > deadline:
            look.resume_after = row["id"]
            break
        before = row["id"]
    return look


def _in_turn(rows: Sequence[Row], after: int) -> list[Row]:
    """The sources after this one, then those before it."""
    return [row for row in rows if row["id"] > after] + [row for row in rows if row["id"] <= after]


def _look_at(
    conn: Connection,
    object_store: ObjectStoreResource,
    collection: Collection,
    row: Row,
    look: Look,
    deadline: float,
) -> bool:
    """Add what one source asks for; whether it was cut. A source that does not answer is named, and
    left for later; so is what a cut listing did not reach."""
    from rag.ingest import reconcile
    from rag.settings import load_settings
    from rag.sources.timed import TimedSource

    look.sources += 1
    try:
        source = TimedSource(object_store.open_source(row["uri"], **row["options"]), deadline)
        state = _state(source, row)
        if state and _is_settled(look, row, state):
            return False
        plan = reconcile.look(conn, scope_of(collection, row), source)
    except RagError as error:
        look.notes.append(f"{row['uri']} can not be read: {error.message}")
        return False
    if state and plan.is_empty and plan.is_complete:
        look.settled[str(row["id"])] = (state, time.time())
    if source.is_cut:
        look.notes.append(
            f"{row['uri']} was not listed to its end in time: the hourly run sees the rest"
        )
    elif not plan.is_complete:
        look.notes.append(f"{row['uri']} was listed in part: nothing is deleted by it")
    for shard, item, reason in listed_work(conn, load_settings(), collection, row, plan):
        look.add(shard, item, reason)
    return source.is_cut


def _state(source: StatefulSource, row: Row) -> str | None:
    """What the source and the choice of its objects amount to; None where only a listing tells."""
    state = source.state()
    return state and digest([state, json.dumps(row["options"], sort_keys=True)]).hex()


def _is_settled(look: Look, row: Row, state: str) -> bool:
    """Whether a look at this very state, not long ago, found nothing to do."""
    known, at = look.settled.get(str(row["id"]), ("", 0.0))
    return known == state and time.time() - at < SETTLED_S


def requested_runs(
    instance: dg.DagsterInstance, look: Look, busy: set[str]
) -> Iterator[dg.RunRequest]:
    """A run for each shard with work, unless one is under way, done already or cooling down."""
    for partition, work in sorted(look.work.items()):
        if partition in busy:
            look.notes.append(f"{partition} is being brought up to date")
            continue
        history = history_of(instance, partition)
        if work.items <= history.done:
            look.notes.append(f"{partition} waits: {'; '.join(work.reasons)}")
        elif _is_cooling(history):
            look.notes.append(
                f"{partition} failed {history.failures} times, next try at "
                f"{history.next_try_at:%H:%M:%S} UTC"
            )
        else:
            yield _request(partition, work, history)


def _is_cooling(history: RunHistory) -> bool:
    return history.next_try_at is not None and history.next_try_at > datetime.now(UTC)


def _request(partition: str, work: ShardWork, history: RunHistory) -> dg.RunRequest:
    plan = ",".join(sorted(work.items))
    # the same until a run has ended, so that a tick that is repeated asks for no second run
    run_key = ":".join(
        (partition, digest([plan]).hex()[:16], str(history.failures), history.latest_run_id[:8])
    )
    tags = {PLAN_TAG: plan, "rag/reason": "; ".join(work.reasons)[:500]}
    return dg.RunRequest(run_key=run_key, partition_key=partition, tags=tags)


def _summary(look: Look) -> str:
    if not look.sources and not look.notes:
        return "No source yet: `rag collection create NS/NAME --source s3://bucket/prefix/`"
    plural = "" if look.sources == 1 else "s"
    head = f"{look.sources} source{plural}, nothing new"
    return "; ".join([head, *look.notes])
