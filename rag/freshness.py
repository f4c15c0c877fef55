"""Freshness: how long a change at the source takes to be searchable, against an objective."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

from rag.model import CollectionName

if TYPE_CHECKING:
    from rag.settings import Settings
    from rag.store.collections import Collection
    from rag.store.database import Connection, Row

WINDOW_S = 7 * 86_400.0  # of changes whose percentiles are shown

State = Literal["fresh", "late", "stale"]


@dataclass(frozen=True, slots=True)
class Objective:
    """Seconds after which a change that is not searchable is late, and after which stale."""

    warn_s: float
    fail_s: float


@dataclass(frozen=True, slots=True)
class Freshness:
    """How current one shard is: `waiting_s` is the age of the oldest change that waits, `unseen_s`
    that of the last complete look at its least seen source; percentiles are of the changes that
    became searchable in the last seven days (None without any), `in_time` those of them that
    took no longer than `warn_s`."""

    documents: int
    waiting: int
    failed: int
    waiting_s: float
    unseen_s: float
    measured: int
    in_time: int
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    objective: Objective

    @property
    def behind_s(self) -> float:
        """How old a change may be that search does not show."""
        return max(self.waiting_s, self.unseen_s)

    @property
    def state(self) -> State:
        """What the objective makes of it."""
        if self.behind_s > self.objective.fail_s:
            return "stale"
        return "late" if self.behind_s > self.objective.warn_s else "fresh"

    @property
    def words(self) -> str:
        """One line for people: what is behind, and what to do."""
        limits = f"warn {span(self.objective.warn_s)}, fail {span(self.objective.fail_s)}"
        if self.state == "fresh":
            return f"No change is older than {span(self.behind_s)} and not searchable ({limits})."
        if self.waiting_s >= self.unseen_s:
            return (
                f"{self.waiting} changed documents are not searchable, the oldest for "
                f"{span(self.waiting_s)} ({limits}): a run of the partition brings them up to date."
            )
        return (
            f"A source was last seen whole {span(self.unseen_s)} ago ({limits}): a run of the "
            "partition looks again; its report says why a listing is not complete."
        )


def percentiles(found: Freshness) -> str:
    """One line for people: how long changes took, and how many of them kept the objective."""
    if found.p50_s is None or found.p95_s is None or found.p99_s is None:
        return "No change of the last seven days became searchable."
    spans = " ".join(
        f"p{share} {span(seconds)}"
        for share, seconds in ((50, found.p50_s), (95, found.p95_s), (99, found.p99_s))
    )
    share = found.in_time / found.measured
    return (
        f"{spans} from change to search, {share:.1%} of {found.measured} changes within "
        f"{span(found.objective.warn_s)} (seven days)."
    )


def measure(
    conn: Connection, collection: Collection, settings: Settings, shard: int | None = None
) -> Freshness:
    """How current the collection, or one shard of it, is now."""
    (row,) = _rows(conn, settings, collection.id, shard)
    return _freshness(row)


def measure_all(conn: Connection, settings: Settings) -> list[tuple[CollectionName, Freshness]]:
    """How current every collection is now."""
    return [
        (CollectionName(row["namespace"], row["collection"]), _freshness(row))
        for row in _rows(conn, settings)
    ]


def _rows(
    conn: Connection, settings: Settings, collection_id: int | None = None, shard: int | None = None
) -> list[Row]:
    from rag.store.freshness import Look, freshness

    warn_s = settings.freshness_warn_s
    fail_s = max(warn_s, settings.freshness_fail_s)
    return freshness(conn, Look(WINDOW_S, warn_s, fail_s, collection_id, shard))


def _freshness(row: Row) -> Freshness:
    measured = {field.name: row[field.name] for field in fields(Freshness) if field.name in row}
    return Freshness(**measured, objective=Objective(row["warn_s"], row["fail_s"]))


def span(seconds: float) -> str:
    """`45 s`, `12 min`, `3.5 h`, `2 d`."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f}".removesuffix(".0") + f" {unit}"
    return f"{seconds:.0f} s"
