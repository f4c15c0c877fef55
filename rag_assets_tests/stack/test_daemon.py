"""The daemon's rounds, and the interval that a sensor asks of it."""

from __future__ import annotations

import pytest
from dagster._daemon import sensor

from sensors import daemon
from sensors.object_store import object_store_sensor


def test_rounds_last_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sensor.MIN_INTERVAL_LOOP_TIME == 5  # what Dagster reads, and has no setting for
    monkeypatch.setattr(sensor, "MIN_INTERVAL_LOOP_TIME", 5)
    daemon.shorten_rounds()
    assert sensor.MIN_INTERVAL_LOOP_TIME == 1


@pytest.mark.parametrize(("interval_s", "asked_s"), [(1, 1), (5, 4), (60, 59)])
def test_a_sensor_is_due_a_little_before_its_round(interval_s: int, asked_s: int) -> None:
    assert object_store_sensor(interval_s).minimum_interval_seconds == asked_s
