"""How current collections are and how far they have drifted, as Prometheus reads it.

Collections are labels here, so their number is bounded: those that are furthest behind come first.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from rag.freshness import Freshness, measure_all
from rag.model import CollectionName
from rag.store import drift
from rag.store.database import Connection, Row

if TYPE_CHECKING:
    from rag.settings import Settings

MOST_COLLECTIONS = 200
_LOOK_S = 60.0


class WatchMeters(Collector):
    """Gauges of the last look. Between looks they stay, so that a scrape costs nothing."""

    def __init__(self) -> None:
        self._fresh: Mapping[CollectionName, Freshness] = {}
        self._drift: list[Row] = []
        self._left_out = 0
        self._looked_at = -_LOOK_S
        self._lock = threading.Lock()

    def look(self, conn: Connection, settings: Settings) -> None:
        """Measure all collections, at most once a minute."""
        with self._lock:
            if time.monotonic() - self._looked_at < _LOOK_S:
                return
            found = measure_all(conn, settings)
            found.sort(key=lambda each: -each[1].behind_s / each[1].objective.fail_s)
            self._fresh = dict(found[:MOST_COLLECTIONS])
            self._left_out = len(found) - len(self._fresh)
            shown = {str(name) for name in self._fresh}
            self._drift = [row for row in drift.findings(conn) if _name(row) in shown]
            self._looked_at = time.monotonic()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges."""
        yield from _freshness(self._fresh)
        yield from _drifts(self._drift)
        yield _gauge(
            "rag_collections_left_out",
            f"Collections beyond the {MOST_COLLECTIONS} that are furthest behind: not shown.",
            [], [((), self._left_out)],
        )  # fmt: skip


def _freshness(found: Mapping[CollectionName, Freshness]) -> Iterator[GaugeMetricFamily]:
    yield _gauge(
        "rag_freshness_behind_seconds", "How old a change may be that search does not show.",
        ["collection"], [((str(name),), each.behind_s) for name, each in found.items()],
    )  # fmt: skip
    yield _gauge(
        "rag_freshness_seconds", "From change to search, over the changes of seven days.",
        ["collection", "quantile"],
        [
            ((str(name), quantile), seconds)
            for name, each in found.items()
            for quantile, seconds in (("0.5", each.p50_s), ("0.95", each.p95_s),
                                      ("0.99", each.p99_s))
            if seconds is not None
        ],
    )  # fmt: skip
    yield _gauge(
        "rag_freshness_objective_seconds", "After how long a change is late (warn), stale (fail).",
        ["collection", "level"],
        [
            ((str(name), level), seconds)
            for name, each in found.items()
            for level, seconds in (("warn", each.objective.warn_s), ("fail", each.objective.fail_s))
        ],
    )  # fmt: skip
    yield _gauge(
        "rag_freshness_in_time_ratio", "Share of these changes that took no longer than `warn`.",
        ["collection"],
        [
            ((str(name),), each.in_time / each.measured)
            for name, each in found.items()
            if each.measured
        ],
    )  # fmt: skip


def _drifts(rows: list[Row]) -> Iterator[GaugeMetricFamily]:
    yield _gauge(
        "rag_drift", "What the last check of drift found.", ["collection", "check", "measure"],
        [((_name(row), row["check_name"], row["measure"]), row["value"]) for row in rows],
    )  # fmt: skip
    limits = {
        (row["check_name"], row["measure"], level): row[level]
        for row in rows
        for level in ("warn", "fail")
    }
    yield _gauge(
        "rag_drift_limit", "From which value on the check fails, when the change is significant.",
        ["check", "measure", "level"], limits.items(),
    )  # fmt: skip


def _gauge(
    name: str, text: str, labels: list[str], values: Iterable[tuple[tuple[str, ...], float]]
) -> GaugeMetricFamily:
    made = GaugeMetricFamily(name, text, labels=labels)
    for chosen, value in values:
        made.add_metric(chosen, value)
    return made


def _name(row: Row) -> str:
    return f"{row['namespace']}/{row['collection']}"
