"""Dagster's daemon, whose rounds of the sensors last a second: `python -m sensors.daemon run …`.

`dagster-daemon run` goes round every five seconds, so that a sensor of five is five late at worst.
"""

from __future__ import annotations

from dagster._daemon import sensor
from dagster._daemon.cli import main

ROUND_S = 1


def shorten_rounds() -> None:
    """Dagster has no setting for it, and reads this each time."""
    sensor.MIN_INTERVAL_LOOP_TIME = ROUND_S


if __name__ == "__main__":
    shorten_rounds()
    main()
