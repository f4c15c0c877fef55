"""Freshness: how long a change at the source takes to be searchable, against an objective."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rag.settings import Settings
    from rag.store.collections import Collection
    from rag.store.database import Connection

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
    became searchable in the last seven days (None without any)."""

    documents: int
    waiting: int
    failed: int
    waiting_s: float
    unseen_s: float
    measured: int
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None

    @property
    def behind_s(self) -> float:
        """How old a change may be that search does not show."""
        return max(self.waiting_s, self.unseen_s)

    def state(self, objective: Objective) -> State:
        """What the objective makes of it."""
        if self.behind_s > objective.fail_s:
            return "stale"
        return "late" if self.behind_s > objective.warn_s else "fresh"

    def words(self, objective: Objective) -> str:
        """One line for people: what is behind, and what to do."""
        limits = f"warn {span(objective.warn_s)}, fail {span(objective.fail_s)}"
        if self.state(objective) == "fresh":
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


def measure(conn: Connection, collection: Collection, shard: int) -> Freshness:
    """How current the shard is now."""
    from rag.store.freshness import freshness

    row = freshness(conn, collection.id, shard, WINDOW_S)
    return Freshness(**{field.name: row[field.name] for field in fields(Freshness)})


def objective_of(conn: Connection, collection: Collection, settings: Settings) -> Objective:
    """The collection's own objective, or what the settings say."""
    from rag.store.freshness import objective

    row = objective(conn, collection.id)
    if row is None:
        return Objective(
            settings.freshness_warn_s, max(settings.freshness_warn_s, settings.freshness_fail_s)
        )
    return Objective(row["warn_s"], row["fail_s"])


def span(seconds: float) -> str:
    """`45 s`, `12 min`, `3.5 h`, `2 d`."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f}".removesuffix(".0") + f" {unit}"
    return f"{seconds:.0f} s"
