"""Reads Dagster's event log by number: check evaluations and ends of runs, each exactly once.

Never "the latest check of an asset": of a partitioned asset that is the newest of all partitions,
and hides a failure behind a later partition that passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg
from dagster import DagsterEventType, EventLogRecord

from rag.alerts.incident import Signal
from rag.errors import RagError
from rag_assets.partitions import read_partition_key
from sensors.run_history import PARTITION_TAG

if TYPE_CHECKING:
    from rag.alert_route import Kind

READ = (
    DagsterEventType.ASSET_CHECK_EVALUATION,
    DagsterEventType.RUN_FAILURE,
    DagsterEventType.RUN_SUCCESS,
)
BATCH = 500
# numbers are given out before rows are visible: one that commits late must not be jumped over
SETTLE_S = 3.0
_KINDS: dict[str, Kind] = {"nothing_held": "breaker", "freshness": "freshness"}
_BLOCKED = "DagsterAssetCheckFailedError"


@dataclass(frozen=True, slots=True)
class Page:
    """Signals in the order of the log, and the number they were read up to."""

    signals: tuple[Signal, ...]
    position: int


def newest_position(instance: dg.DagsterInstance) -> int:
    """The number of the newest event of the kinds that are read; 0 when there is none."""
    numbers = [
        record.storage_id
        for kind in READ
        for record in _records(instance, kind, after=None, limit=1, ascending=False)
    ]
    return max(numbers, default=0)


def read_page(
    instance: dg.DagsterInstance, after: int, now: datetime, settle_s: float = SETTLE_S
) -> Page:
    """What happened after that number, as far as it has settled."""
    found: list[EventLogRecord] = []
    horizon: int | None = None
    for kind in READ:
        records = _records(instance, kind, after=after, limit=BATCH, ascending=True)
        found += records
        if len(records) == BATCH:  # the other kinds may not be read beyond this one
            last = records[-1].storage_id
            horizon = last if horizon is None else min(horizon, last)
    signals: list[Signal] = []
    position = after
    for record in sorted(found, key=lambda item: item.storage_id):
        if horizon is not None and record.storage_id > horizon:
            break
        if now.timestamp() - record.timestamp < settle_s:
            break
        signal = _signal(instance, record)
        signals += [] if signal is None else [signal]
        position = record.storage_id
    return Page(tuple(signals), position)


def _records(
    instance: dg.DagsterInstance,
    kind: DagsterEventType,
    *,
    after: int | None,
    limit: int,
    ascending: bool,
) -> Sequence[EventLogRecord]:
    wanted = dg.EventRecordsFilter(event_type=kind, after_cursor=after)
    # the storage itself: it takes run events by number, which the instance's method refuses
    return instance.event_log_storage.get_event_records(wanted, limit=limit, ascending=ascending)


def _signal(instance: dg.DagsterInstance, record: EventLogRecord) -> Signal | None:
    event = record.event_log_entry.dagster_event
    if event is None:
        return None
    at = datetime.fromtimestamp(record.timestamp, tz=UTC)
    if event.event_type == DagsterEventType.ASSET_CHECK_EVALUATION:
        return _of_check(event.asset_check_evaluation_data, at)
    return _of_run(instance, record.run_id, event, at)


def _of_check(data: dg.AssetCheckEvaluation, at: datetime) -> Signal:
    asset, partition = data.asset_key.to_user_string(), data.partition
    kind: Kind = "drift" if "drift" in data.check_name else _KINDS.get(data.check_name, "check")
    where = partition or asset
    state = "holds again" if data.passed else "failed"
    return Signal(
        key=f"check:{asset}:{data.check_name}:{partition or ''}",
        kind=kind,
        severity="error" if data.severity == dg.AssetCheckSeverity.ERROR else "warn",
        title=f"{where}: check {data.check_name} of {asset} {state}",
        detail=data.description or "The check gave no description.",
        at=at,
        collection=collection_of(partition),
        is_well=data.passed,
    )


def _of_run(
    instance: dg.DagsterInstance, run_id: str, event: dg.DagsterEvent, at: datetime
) -> Signal | None:
    run = instance.get_run_by_id(run_id)
    if run is None or run.tags.get("dagster/will_retry") == "true":
        return None
    is_well = event.event_type == DagsterEventType.RUN_SUCCESS
    if not is_well and _is_of_check(event):
        return None  # the check is told, and the run failed because of it
    partition = run.tags.get(PARTITION_TAG)
    where = f"{partition}: run" if partition else "Run"
    return Signal(
        key=f"run:{run.job_name}:{partition or ''}",
        kind="run",
        severity="error",
        title=f"{where} of {run.job_name} {'succeeded again' if is_well else 'failed'}",
        detail="It succeeded." if is_well else f"Run {run_id}: {event.message or 'no message'}",
        at=at,
        collection=collection_of(partition),
        is_well=is_well,
    )


def _is_of_check(event: dg.DagsterEvent) -> bool:
    step = getattr(event.event_specific_data, "first_step_failure_event", None)
    error = step.step_failure_data.error if step is not None else None
    while error is not None:
        if error.cls_name == _BLOCKED:
            return True
        error = error.cause
    return False


def collection_of(partition: str | None) -> str | None:
    """The collection whose partition it is."""
    try:
        return None if partition is None else str(read_partition_key(partition).name)
    except RagError:
        return None  # a partition of usage, by day
