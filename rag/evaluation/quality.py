"""Whether what is live finds as well as it did: its last evaluation against an earlier one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from rag.evaluation.bootstrap import Comparison, Rule, compare, paired
from rag.evaluation.metrics import DECISIVE, FAILED
from rag.evaluation.routine import CALLED, evaluations_of
from rag.store import evaluation

if TYPE_CHECKING:
    from rag.settings import Settings
    from rag.store.collections import Collection
    from rag.store.database import Connection, Row


@dataclass(frozen=True, slots=True)
class Quality:
    """The last evaluation (None: there is none) against the oldest of those that are looked back
    on, metric by metric. `below` are means under their floor."""

    name: str | None
    reference: str | None
    questions: int
    comparisons: tuple[Comparison, ...] = ()
    below: tuple[str, ...] = ()

    @property
    def reasons(self) -> list[str]:
        """What speaks against it; empty when all is well."""
        return [*self.below, *(f"{each.metric}: {each.reason}" for each in self.comparisons
                               if not each.passed)]  # fmt: skip


def judge_quality(conn: Connection, collection: Collection, settings: Settings) -> Quality:
    """The newest evaluation of the collection against the oldest of the last ten with the same
    dataset: so one that erodes slowly is noticed, too. Means below `gate_floors` fail in any case;
    what falls fails by the rule of the gate, when there are `gate_min_questions`."""
    rows = evaluation.experiments(conn, collection.id)
    newest = next((row for row in rows if row["name"].startswith(f"{CALLED}-")), None)
    if newest is None:
        return Quality(None, None, 0)
    history = evaluations_of(rows, newest["dataset"])
    now = evaluation.results(conn, newest["id"])
    below = tuple(_below_floors(now, settings))
    reference = history[-1]
    if reference["id"] == newest["id"]:
        return Quality(newest["name"], None, len(now), below=below)
    before = evaluation.results(conn, reference["id"])
    compared = tuple(
        found
        for metric in DECISIVE
        if (found := _compared(before, now, metric, settings)) is not None
    )
    return Quality(newest["name"], reference["name"], len(now), compared, below)


def _below_floors(now: Sequence[Row], settings: Settings) -> list[str]:
    means = {
        metric: fmean(values)
        for metric in settings.gate_floors
        if (values := [max(0.0, score) for score in _scores(now, metric).values()])
    }
    return [
        f"{metric}: {mean:.3f} is below the floor of {settings.gate_floors[metric]:.3f}"
        for metric, mean in means.items()
        if mean < settings.gate_floors[metric]
    ]


def _compared(
    before: Sequence[Row], now: Sequence[Row], metric: str, settings: Settings
) -> Comparison | None:
    theirs, ours = paired(_scores(before, metric), _scores(now, metric), FAILED)
    if len(theirs) < settings.gate_min_questions:
        return None
    return compare(theirs, ours, Rule(metric, settings.gate_drop), settings.gate_min_questions)


def _scores(rows: Sequence[Row], metric: str) -> dict[str, float]:
    return {row["key"]: row["scores"][metric] for row in rows if metric in row["scores"]}
