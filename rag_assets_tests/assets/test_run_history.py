"""How long a partition rests after failures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sensors.run_history import RunHistory

AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 30), (2, 60), (3, 120), (5, 480), (6, 900), (12, 900)]
)
def test_the_rest_doubles_with_each_failure_up_to_a_quarter_of_an_hour(
    failures: int, seconds: int
) -> None:
    history = RunHistory("run", failures, AT, frozenset())

    assert history.next_try_at == AT + timedelta(seconds=seconds)


def test_without_failures_there_is_no_rest() -> None:
    assert RunHistory("run", 0, None, frozenset()).next_try_at is None
