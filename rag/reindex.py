"""Reindex requests: which shards are to be run because a check failed, the configuration changed or
their time has come. Each cause asks once, then after a cool-down that doubles, so that a cause that
persists makes no loop; a budget of embeddings bounds what all of them may cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from rag.model import CollectionName, Shard
from rag.schedules import Kind, Rhythm, due_at

if TYPE_CHECKING:
    from rag.settings import Settings
    from rag.store.collections import Collection
    from rag.store.database import Connection, Row

DAY_S = 86_400.0
TRIES = 3  # of a scheduled run, the retries a minute, then two minutes after a failure
_CONFIGURATION = "configuration:"
_BY_TIME: Mapping[Kind, str] = {"ingest": "schedule:", "evaluation": "evaluation:"}
RunState = Literal["under way", "succeeded", "failed", "unknown"]


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a shard should be run. `name` tells causes apart; after `most` requests it asks no
    more."""

    shard: Shard
    name: str
    reason: str
    most: int
    cool_down_s: float
    kind: Kind = "ingest"


def may_ask(cause: Cause, times: int, last_at: datetime | None, now: datetime) -> bool:
    """Whether the cause may request a run now, having done so `times` times."""
    if last_at is None or times == 0:
        return True
    wait = min(DAY_S, cause.cool_down_s * 2 ** (times - 1))
    return times < cause.most and now >= last_at + timedelta(seconds=wait)


def incident_causes(
    incidents: list[Row], shards: Mapping[str, Shard], settings: Settings
) -> Iterator[Cause]:
    """A run of the very partition whose check of freshness or drift fails. Drift asks once: what
    drifted is indexed by then, and people decide whether it is welcome."""
    for row in incidents:
        partition = row["key"].rpartition(":")[2]
        if partition not in shards:
            continue
        most = 1 if row["kind"] == "drift" else 1_000
        check = row["key"].split(":")[2]
        yield Cause(
            shards[partition],
            f"incident:{row['id']}",
            f"check {check} failed: {row['detail']}",
            most,
            settings.reindex_cool_down_s,
        )


def configuration_cause(
    conn: Connection, shard: Shard, collection: Collection, digest: str, settings: Settings
) -> Cause | None:
    """A run of a shard that was last asked for under another configuration. The first one that is
    seen is only noted."""
    from rag.store import schedules

    name = _CONFIGURATION + digest
    last = schedules.last_cause(conn, collection.id, shard.index, _CONFIGURATION)
    if last == name:
        return None
    if last is None:
        return Cause(shard, name, "", 1, 0.0)
    # times differ: going back to an earlier configuration is a change, too
    cool = settings.reindex_cool_down_s
    return Cause(shard, name, "the configuration has changed", 1_000, cool)


def schedule_due(row: Row, now: datetime) -> str | None:
    """The name of the cause when the schedule's time has come."""
    rhythm = Rhythm(row["every_days"], row["cron"])
    due = due_at(rhythm, row["last_run_at"], row["created_at"])
    return f"{_BY_TIME[row['kind']]}{due:%Y-%m-%dT%H:%M:%S}" if due <= now else None


def kind_of(cause: str) -> Kind:
    """What a run for that cause does."""
    return "evaluation" if cause.startswith(_BY_TIME["evaluation"]) else "ingest"


def ask(
    conn: Connection, cause: Cause, collection: Collection, now: datetime, settings: Settings
) -> str:
    """Request the run if the cause may; says what became of it: asked, waits or budget."""
    from rag.store import schedules

    budget = settings.reindex_embeddings_per_day
    times, last_at = schedules.requests_of_cause(conn, collection.id, cause.shard.index, cause.name)
    if not may_ask(cause, times, last_at, now):
        return "waits"
    if cause.reason and budget and cause.kind == "ingest":
        since = now - timedelta(seconds=DAY_S)
        if schedules.embeddings_since(conn, collection.id, since) >= budget:
            return "budget"
    schedules.request(conn, collection.id, cause.shard.index, cause.name, cause.reason[:500], now)
    return "asked"


def is_settled(states: Mapping[int, RunState], times: Mapping[int, int]) -> bool:
    """Whether a scheduled run is done with: each shard's run succeeded, or failed often enough."""
    return all(
        state == "succeeded" or (state == "failed" and times[shard] >= TRIES)
        for shard, state in states.items()
    )


def shard_of_request(row: Row) -> Shard:
    """The shard that a request names."""
    name = CollectionName(row["namespace"], row["collection"])
    return Shard(name, row["shard"], row["shards"])
