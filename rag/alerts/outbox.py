"""From signals to delivered notices: what was seen and how far the log was read are kept in one
transaction, notices wait in the outbox, and a try is counted before it is made. So a process that
dies at any point loses nothing; one that dies between delivery and its record delivers that notice
again, under the same id."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, fields
from datetime import datetime
from typing import TypeVar

from rag.alert_route import AlertRoute
from rag.alerts.incident import Incident, Patience, Signal, Told, news, retry_at, settle
from rag.errors import RagError
from rag.store import alerts
from rag.store.database import Connection, Row

ATTEMPTS = 12  # over about six hours

Send = Callable[[AlertRoute, Row], None]
T = TypeVar("T")


def take_signals(conn: Connection, signals: Iterable[Signal], cool_down_s: float) -> int:
    """Bring the incidents up to date with the signals, in the caller's transaction; returns how
    many signals changed one."""
    alerts.lock_incidents(conn)
    changed = 0
    for signal in signals:
        row = alerts.newest_incident(conn, signal.key)
        after = settle(None if row is None else _value(Incident, row), signal, cool_down_s)
        if after is not None:
            alerts.keep_incident(conn, asdict(after))
            changed += 1
    return changed


def open_incidents(conn: Connection, *kinds: str) -> list[Incident]:
    """The open incidents of these kinds, or of all."""
    rows = alerts.incidents(conn, open_only=True, kinds=kinds or None)
    return [_value(Incident, row) for row in rows]


def write_notices(
    conn: Connection, routes: Mapping[str, AlertRoute], now: datetime, patience: Patience
) -> int:
    """Put into the outbox what the routes are to be told; returns how many notices."""
    made = 0
    with conn.transaction():
        alerts.lock_incidents(conn)
        found, last = alerts.incidents_to_tell(conn, now)
        told = {(row["incident_id"], row["route"]): _value(Told, row) for row in last}
        for row in found:
            incident = _value(Incident, row)
            for name, route in routes.items():
                event = news(incident, told.get((incident.id, name)), route, now, patience)
                if event is not None:
                    about = {**row, "incident_id": incident.id}
                    alerts.make_notice(conn, {**about, "route": name, "event": event, "now": now})
                    made += 1
    return made


def deliver(
    conn: Connection,
    routes: Mapping[str, AlertRoute],
    send: Send,
    clock: Callable[[], datetime],
    until: datetime,
) -> dict[str, int]:
    """Deliver what is due, one at a time, starting none after `until`; counts by outcome."""
    counts = {"sent": 0, "failed": 0, "given_up": 0}
    while (now := clock()) < until:
        with conn.transaction():
            waiting = alerts.waiting_notice(conn, now)
            if waiting is None:
                break
            notice = alerts.count_attempt(
                conn, waiting["id"], retry_at(waiting["attempts"] + 1, now)
            )
        counts[_try(conn, routes.get(notice["route"]), notice, send)] += 1
    return counts


def _try(conn: Connection, route: AlertRoute | None, notice: Row, send: Send) -> str:
    if route is None:
        alerts.notice_failed(conn, notice["id"], "the route is gone", is_given_up=True)
        return "given_up"
    try:
        send(route, notice)
    except RagError as error:
        is_given_up = notice["attempts"] >= ATTEMPTS
        alerts.notice_failed(conn, notice["id"], error.message, is_given_up=is_given_up)
        return "given_up" if is_given_up else "failed"
    alerts.notice_sent(conn, notice["id"])
    return "sent"


def _value(kind: type[T], row: Row) -> T:
    return kind(**{field.name: row[field.name] for field in fields(kind)})  # type: ignore[arg-type]
