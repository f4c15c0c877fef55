"""What became of a partition's latest runs: is one under way, did they fail, when to try again."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster import RunRecord

from rag_assets.evaluation import evaluate
from rag_assets.jobs import inspection

PARTITION_TAG = "dagster/partition"
PLAN_TAG = "rag/plan"

_LOOK_BACK = 12
_COOL_DOWN_S = 30.0
_COOL_DOWN_CAP_S = 900.0
UNDER_WAY = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)
_FAILED = (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


@dataclass(frozen=True, slots=True)
class RunHistory:
    """The finished runs of one partition, as far as the next request depends on them.

    `failures` counts those since the last success; `done` is the plan the last run carried out,
    empty unless it succeeded."""

    latest_run_id: str
    failures: int
    failed_at: datetime | None
    done: frozenset[str]

    @property
    def next_try_at(self) -> datetime | None:
        """When the partition may be tried again: 30 s after the first failure, then 60, 120 ...
        at most 15 minutes."""
        if self.failed_at is None:
            return None
        step = min(_COOL_DOWN_CAP_S, _COOL_DOWN_S * 2 ** (self.failures - 1))
        return self.failed_at + timedelta(seconds=step)


def partitions_under_way(instance: dg.DagsterInstance) -> set[str]:
    """Partitions with a run queued or running, whatever launched it."""
    runs = instance.get_runs(filters=dg.RunsFilter(statuses=list(UNDER_WAY)))
    return {run.tags[PARTITION_TAG] for run in runs if PARTITION_TAG in run.tags}


def history_of(instance: dg.DagsterInstance, partition: str) -> RunHistory:
    """The latest finished runs of a partition."""
    records = instance.get_run_records(
        filters=dg.RunsFilter(tags={PARTITION_TAG: partition}), limit=_LOOK_BACK
    )
    # a run that only checks or evaluates brings nothing up to date
    beside = (inspection.name, evaluate.name)
    return read_history([item for item in records if item.dagster_run.job_name not in beside])


def read_history(records: Collection[RunRecord]) -> RunHistory:
    """Sum up runs, newest first."""
    failed: list[RunRecord] = []
    done: frozenset[str] = frozenset()
    for record in records:
        status = record.dagster_run.status
        if status in _FAILED:
            failed.append(record)
        elif status == dg.DagsterRunStatus.SUCCESS:
            if not failed:
                done = frozenset(record.dagster_run.tags.get(PLAN_TAG, "").split(",")) - {""}
            break
    latest = next(iter(records), None)
    return RunHistory(
        latest_run_id=latest.dagster_run.run_id if latest else "",
        failures=len(failed),
        failed_at=_ended_at(failed[0]) if failed else None,
        done=done,
    )


def _ended_at(record: RunRecord) -> datetime:
    if record.end_time is None:
        return record.update_timestamp
    return datetime.fromtimestamp(record.end_time, tz=UTC)
