"""When collections are run or evaluated by time: every so many days or by cron, and the scheduler
file of other systems. Pure but for the import of a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from rag.errors import ConfigurationError, NotFoundError
from rag.model import CollectionName

# what is done by time: a run of ingest, or an evaluation of what is live
Kind = Literal["ingest", "evaluation"]
_LEAST_DAYS = 1 / 1440  # a minute


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often a collection is run: `every_days` (fractions count) or `cron` (UTC)."""

    every_days: float | None = None
    cron: str | None = None

    def __str__(self) -> str:
        return f"cron {self.cron}" if self.cron else f"every {self.every_days:g} days"


def read_rhythm(every_days: float | None, cron: str | None) -> Rhythm:
    """One of both, checked. Raises ConfigurationError (`bad_schedule`)."""
    from croniter import croniter

    if (every_days is None) == (cron is None):
        raise _bad("Give either a number of days or a cron expression.")
    # written so that NaN is refused, too
    if every_days is not None and not _LEAST_DAYS <= every_days <= 3_660:
        raise _bad(f"{every_days:g} days is no rhythm: give from {_LEAST_DAYS:.4f} to 3660 days.")
    if cron is not None and (len(cron.split()) != 5 or not croniter.is_valid(cron)):
        raise _bad(f"'{cron}' is no cron expression: give five fields, such as '0 6 * * 1'.")
    return Rhythm(every_days, cron)


def due_at(rhythm: Rhythm, last_run_at: datetime | None, created_at: datetime) -> datetime:
    """When the next run is due; one that was never run is due at once."""
    if last_run_at is None:
        return created_at
    if rhythm.cron is None:
        return last_run_at + timedelta(days=rhythm.every_days or 0.0)
    from croniter import croniter

    at: datetime = croniter(rhythm.cron, last_run_at.astimezone(UTC)).get_next(datetime)
    return at


def read_scheduler_file(path: Path) -> Iterator[tuple[CollectionName, Rhythm]]:
    """The entries `{topic, segment, schedule: days}` of a scheduler.json: a list, or an object
    that holds one. Raises NotFoundError (`file_not_found`), ConfigurationError (`bad_schedule`)."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise NotFoundError(f"{path} can not be read.", code="file_not_found") from None
    except ValueError:
        raise _bad(f"{path} is no JSON file.") from None
    for number, entry in enumerate(_entries(data), start=1):
        days = entry.get("schedule") if isinstance(entry, dict) else None
        if not isinstance(days, int | float) or isinstance(days, bool):
            raise _bad(f"Entry {number}: write {{topic, segment, schedule: days}}.")
        name = CollectionName.parse(f"{entry.get('topic')}/{entry.get('segment')}")
        yield name, read_rhythm(float(days), None)


def _entries(data: object) -> list[dict[str, object]]:
    if isinstance(data, dict):
        lists = [value for value in data.values() if isinstance(value, list)]
        data = lists[0] if len(lists) == 1 else [data]
    if not isinstance(data, list):
        raise _bad("A scheduler file is a list of {topic, segment, schedule: days}.")
    return data


def _bad(message: str) -> ConfigurationError:
    return ConfigurationError(message, code="bad_schedule")
