"""Where the time between an object's put and its first hit goes, from Dagster's own event log."""

from __future__ import annotations

from itertools import pairwise

import psycopg

_RUN = """
select run_id, extract(epoch from create_timestamp)::float8
from runs where extract(epoch from create_timestamp) > %s
order by create_timestamp limit 1
"""
_EVENTS = """
select dagster_event_type, step_key, extract(epoch from timestamp)::float8
from event_logs
where run_id = %s and dagster_event_type in ('PIPELINE_STARTING', 'STEP_START')
order by id
"""


def phases(url: str, put_at: float, found_at: float) -> dict[str, float]:
    """Seconds of each phase of the first run that was made after `put_at`, in order; together they
    are `found_at - put_at`. Times are in seconds since 1970; those of Dagster's database, which
    `url` names, are UTC without saying so."""
    with psycopg.connect(url) as conn:
        run = conn.execute(_RUN, [put_at]).fetchone()
        if run is None:
            raise SystemExit("Dagster knows of no run after the put")
        events = conn.execute(_EVENTS, [run[0]]).fetchall()
    (left_queue,) = (at for kind, _, at in events if kind == "PIPELINE_STARTING")
    marks = [
        ("until the sensor asked for a run", put_at),
        ("in the queue", run[1]),
        ("until the run's process began its first step", left_queue),
        *(
            (_phase(step), at)
            for kind, step, at in events
            if kind == "STEP_START" and at < found_at
        ),
        ("", found_at),
    ]
    spent: dict[str, float] = {}
    for (name, begun), (_, ended) in pairwise(marks):
        spent[name] = spent.get(name, 0.0) + ended - begun
    return spent


def _phase(step: str) -> str:
    return "checks" if step.endswith("_checks") else step
