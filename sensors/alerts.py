"""Tells people: what Dagster's event log and the store say is wrong becomes incidents, and notices
of them are delivered. A tick that dies at any point loses nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import dagster as dg

from rag.errors import TransientError
from resources.postgres import DatabaseResource
from sensors.event_log import SETTLE_S, collection_of, newest_position, read_page
from sensors.run_history import PARTITION_TAG, UNDER_WAY

if TYPE_CHECKING:
    from rag.alerts.incident import Signal
    from rag.settings import Settings
    from rag.store.database import Connection

READER = "alerts"
BUDGET_S = 35.0  # Dagster ends a tick after 60 s


def alert_sensor(interval_s: int) -> dg.SensorDefinition:
    """The sensor, looking every `interval_s` seconds."""

    @dg.sensor(
        name="alert_sensor",
        minimum_interval_seconds=interval_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Reads check evaluations and ends of runs from the event log, looks for stuck "
        "runs and growing dead letters, keeps incidents, and tells the routes of `alert_routes`: "
        "once when something is wrong, once when it is well again.",
    )
    def sense(context: dg.SensorEvaluationContext, database: DatabaseResource) -> dg.SkipReason:
        try:
            with database.connect() as conn:
                return dg.SkipReason(watch(conn, context.instance))
        except TransientError as error:
            return dg.SkipReason(error.message)

    return sense


def watch(conn: Connection, instance: dg.DagsterInstance, settle_s: float = SETTLE_S) -> str:
    """Take signals, write notices, deliver them; says what was done in one line."""
    from rag.alerts.delivery import send
    from rag.alerts.incident import Patience
    from rag.alerts.outbox import deliver, write_notices
    from rag.settings import load_settings

    settings = load_settings()
    now = datetime.now(UTC)
    signals = _take_events(conn, instance, settings, now, settle_s)
    signals += _take_levels(conn, instance, settings, now)
    patience = Patience(settings.alert_cool_down_s, settings.alert_repeat_s)
    made = write_notices(conn, settings.alert_routes, now, patience)
    counts = deliver(
        conn,
        settings.alert_routes,
        partial(send, settings),
        lambda: datetime.now(UTC),
        now + timedelta(seconds=BUDGET_S),
    )
    said = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in counts.items())
    return f"{signals} signals, {made} notices; {said}"


def _take_events(
    conn: Connection,
    instance: dg.DagsterInstance,
    settings: Settings,
    now: datetime,
    settle_s: float,
) -> int:
    """The signals of the event log since the last look; the first one starts at its end."""
    from rag.alerts.outbox import take_signals
    from rag.store import alerts

    with conn.transaction():
        alerts.lock_incidents(conn)
        after, newest = alerts.position(conn, READER), newest_position(instance)
        if after is None or after > newest:  # a first look, or Dagster's storage was made anew
            alerts.move_position(conn, READER, newest)
            return 0
        page = read_page(instance, after, now, settle_s)
        if page.position > after:
            take_signals(conn, page.signals, settings.alert_cool_down_s)
            alerts.move_position(conn, READER, page.position)
    return len(page.signals)


def _take_levels(
    conn: Connection, instance: dg.DagsterInstance, settings: Settings, now: datetime
) -> int:
    """The signals of what is looked at and sends no events."""
    from rag.alerts.incident import changes
    from rag.alerts.outbox import open_incidents, take_signals

    found = [*_stuck_runs(instance, settings, now), *_dead_letters(conn, settings, now)]
    with conn.transaction():
        opened = open_incidents(conn, "stuck_run", "dead_letters")
        signals = list(changes(opened, found, now))
        return take_signals(conn, signals, settings.alert_cool_down_s)


def _stuck_runs(
    instance: dg.DagsterInstance, settings: Settings, now: datetime
) -> Iterator[Signal]:
    from rag.alerts.incident import Signal

    before = now - timedelta(seconds=settings.alert_stuck_run_s)
    wanted = dg.RunsFilter(statuses=list(UNDER_WAY), created_before=before)
    for record in instance.get_run_records(filters=wanted, limit=100):
        run = record.dagster_run
        partition = run.tags.get(PARTITION_TAG)
        since = record.create_timestamp
        yield Signal(
            key=f"stuck_run:{run.run_id}",
            kind="stuck_run",
            severity="error",
            title=f"{partition or run.job_name}: a run does not end",
            detail=f"Run {run.run_id} of {run.job_name} has been {run.status.value.lower()} since "
            f"{since:%Y-%m-%d %H:%M} UTC: look at it in Dagster, and terminate it if it hangs.",
            at=now,
            collection=collection_of(partition),
        )


def _dead_letters(conn: Connection, settings: Settings, now: datetime) -> Iterator[Signal]:
    from rag.alerts.incident import Signal
    from rag.store.alerts import dead_letter_growth

    for row in dead_letter_growth(conn, settings.alert_dead_letters, now):
        name = row["collection"]
        yield Signal(
            key=f"dead_letters:{name}",
            kind="dead_letters",
            severity="warn",
            title=f"{name}: many documents fail",
            detail=f"At least {settings.alert_dead_letters} documents failed within an hour: "
            f"`rag status {name}` says why.",
            at=now,
            collection=name,
        )
