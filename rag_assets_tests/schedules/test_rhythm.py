"""When collections are due."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rag.errors import ConfigurationError, NotFoundError
from rag.model import CollectionName, Shard
from rag.reindex import Cause, is_settled, may_ask
from rag.schedules import Rhythm, due_at, read_rhythm, read_scheduler_file

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
SHARD = Shard(CollectionName("acme", "docs"))


@pytest.mark.parametrize(
    ("rhythm", "last", "due"),
    [
        (Rhythm(every_days=0.5), None, T0),  # never run: now
        (Rhythm(every_days=0.5), T0, T0 + timedelta(hours=12)),  # fractions count
        (Rhythm(every_days=3), T0, T0 + timedelta(days=3)),
        (Rhythm(cron="30 6 * * 1"), T0, datetime(2026, 3, 2, 6, 30, tzinfo=UTC)),
        (Rhythm(cron="0 12 * * *"), T0, datetime(2026, 3, 2, 12, tzinfo=UTC)),
        (Rhythm(cron="0 0 1 1 *"), None, T0),
    ],
)
def test_the_next_run(rhythm: Rhythm, last: datetime | None, due: datetime) -> None:
    assert due_at(rhythm, last, T0) == due


@pytest.mark.parametrize(
    ("days", "cron"),
    [
        (None, None),
        (1.0, "0 0 * * *"),
        (0.0, None),
        (-1.0, None),
        (float("nan"), None),
        (float("inf"), None),
        (None, "* * *"),
        (None, "61 0 * * *"),
        (None, "0 0 * * * *"),
        (None, "@daily"),
    ],
)
def test_no_rhythm(days: float | None, cron: str | None) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_rhythm(days, cron)
    assert caught.value.code == "bad_schedule"


ENTRY = {"topic": "acme", "segment": "docs", "schedule": 0.25}


@pytest.mark.parametrize("data", [[ENTRY], {"schedules": [ENTRY]}, ENTRY])
def test_the_scheduler_file_of_other_systems_is_read(tmp_path: Path, data: object) -> None:
    file = tmp_path / "scheduler.json"
    file.write_text(json.dumps(data))

    (found,) = read_scheduler_file(file)

    assert found == (CollectionName("acme", "docs"), Rhythm(every_days=0.25))


@pytest.mark.parametrize(
    "data",
    ["nothing", 3, [3], [{**ENTRY, "schedule": "daily"}], [{**ENTRY, "schedule": True}],
     [{**ENTRY, "schedule": 0}], [{**ENTRY, "topic": None}]],
)  # fmt: skip
def test_another_file_is_refused(tmp_path: Path, data: object) -> None:
    file = tmp_path / "scheduler.json"
    file.write_text(json.dumps(data))

    with pytest.raises(ConfigurationError):
        list(read_scheduler_file(file))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"gone\.json"):
        list(read_scheduler_file(tmp_path / "gone.json"))


def test_a_cause_that_persists_asks_ever_more_seldom() -> None:
    cause = Cause(SHARD, "incident:1", "stale", most=1_000, cool_down_s=3_600)
    asked: list[float] = []
    last: datetime | None = None
    for minute in range(7 * 1440):
        now = T0 + timedelta(minutes=minute)
        if may_ask(cause, len(asked), last, now):
            last = now
            asked.append(minute / 60)

    assert asked[:5] == [0, 1, 3, 7, 15]
    assert len(asked) == 11  # then once a day


def test_a_cause_that_may_ask_once_asks_once() -> None:
    cause = Cause(SHARD, "incident:1", "drift", most=1, cool_down_s=60)

    assert may_ask(cause, 0, None, T0)
    assert not may_ask(cause, 1, T0, T0 + timedelta(days=400))


def test_a_scheduled_run_is_done_with_when_all_shards_are() -> None:
    assert is_settled({0: "succeeded", 1: "succeeded"}, {0: 1, 1: 1})
    assert not is_settled({0: "succeeded", 1: "failed"}, {0: 1, 1: 2})
    assert is_settled({0: "succeeded", 1: "failed"}, {0: 1, 1: 3})
    assert not is_settled({0: "under way"}, {0: 3})
