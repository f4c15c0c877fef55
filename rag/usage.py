"""What a day's questions and feedback come to: counts, shares and latencies, by collection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rag.store import query_log
from rag.store.database import Connection


@dataclass(frozen=True, slots=True)
class DayReport:
    """One day of a log: its rows, numbers by name, and rows by collection, worst first. A share or
    a latency of nothing is left out."""

    rows: int
    numbers: Mapping[str, int | float]
    collections: tuple[Mapping[str, object], ...]


def queries_of_day(conn: Connection, start: datetime) -> DayReport:
    """What was asked in the 24 hours from `start`."""
    day = query_log.queries_of_day(conn, start)
    totals = day.totals
    shares = {
        "zero_hit_rate": _share(totals["zero_hit"], totals["queries"]),
        "unknown_rate": _share(totals["unknown"], totals["answers"]),
    }
    return _report(totals["queries"], {**totals, **shares}, day)


def feedback_of_day(conn: Connection, start: datetime) -> DayReport:
    """What was said in the 24 hours from `start`."""
    day = query_log.feedback_of_day(conn, start)
    totals = day.totals
    shares = {"down_rate": _share(totals["down"], totals["given"])}
    return _report(totals["given"], {**totals, **shares}, day)


def _report(rows: int, numbers: Mapping[str, Any], day: query_log.Day) -> DayReport:
    known = {
        name: round(float(number), 4) if isinstance(number, float) else int(number)
        for name, number in numbers.items()
        if number is not None
    }
    collections = tuple(
        {"collection": f"{row['namespace']}/{row['collection']}",
         **{name: row[name] for name in row if name not in ("namespace", "collection")}}
        for row in day.collections
    )  # fmt: skip
    return DayReport(rows, known, collections)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
