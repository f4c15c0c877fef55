"""Incidents: what signs of trouble make of what is known already, and what is told of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from rag.alert_route import AlertRoute, Kind, Severity

Event = Literal["opened", "updated", "recovered"]


@dataclass(frozen=True, slots=True)
class Signal:
    """A sign that something is wrong or, with `is_well`, that it is well again. Signals of one
    `key` are about the same thing."""

    key: str
    kind: Kind
    severity: Severity
    title: str
    detail: str
    at: datetime
    collection: str | None = None
    is_well: bool = False


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that is wrong from its first sign until it is well again."""

    id: int
    key: str
    kind: Kind
    collection: str | None
    severity: Severity
    title: str
    detail: str
    signals: int
    opened_at: datetime
    seen_at: datetime
    closed_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        return self.closed_at is None


@dataclass(frozen=True, slots=True)
class Told:
    """The last notice of an incident on one route; `is_waiting` until it is delivered or given
    up."""

    event: Event
    severity: Severity
    at: datetime
    is_waiting: bool


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a recovery must be past to make a relapse news, and when news is repeated."""

    cool_down_s: float
    repeat_s: float


def settle(known: Incident | None, signal: Signal, cool_down_s: float) -> Incident | None:
    """The incident after the signal; id 0 when it is a new one, None when there is nothing to
    keep. A relapse within the cool-down opens the same incident again."""
    if known is None or not known.is_open:
        if signal.is_well:
            return None
        if known is None or _past(known.closed_at, signal.at) >= cool_down_s:
            return _new(signal)
    if signal.is_well:
        return replace(known, closed_at=signal.at, seen_at=signal.at)
    return replace(
        known,
        severity=signal.severity,
        title=signal.title,
        detail=signal.detail,
        signals=known.signals + 1,
        seen_at=signal.at,
        closed_at=None,
    )


def news(
    incident: Incident, told: Told | None, route: AlertRoute, now: datetime, patience: Patience
) -> Event | None:
    """What to tell this route of the incident now, if anything. One message at a time, in order;
    the last one always says how things stand, whatever happened between."""
    if route.is_quiet(now) or (told is not None and told.is_waiting):
        return None
    if told is None:
        is_ours = route.takes(incident.kind, incident.severity, incident.collection)
        return "opened" if incident.is_open and is_ours else None
    if told.event == "recovered":
        is_news = incident.is_open and _past(told.at, now) >= patience.cool_down_s
        return "opened" if is_news else None
    if not incident.is_open:
        return "recovered"
    if told.severity == "warn" and incident.severity == "error":
        return "updated"
    is_old = _past(told.at, now) >= patience.repeat_s and incident.seen_at > told.at
    return "updated" if is_old else None


def changes(opened: Iterable[Incident], found: Iterable[Signal], now: datetime) -> Iterator[Signal]:
    """Signals for what is wrong now and was not, or otherwise, and for what is well again: for
    things that are looked at, and send no events."""
    before = {incident.key: incident for incident in opened}
    for signal in found:
        known = before.pop(signal.key, None)
        if known is None or (known.severity, known.detail) != (signal.severity, signal.detail):
            yield signal
    for gone in before.values():
        yield Signal(
            gone.key, gone.kind, gone.severity, gone.title, "It is well again.", now,
            gone.collection, is_well=True,
        )  # fmt: skip


def retry_at(attempts: int, now: datetime) -> datetime:
    """When a notice is tried again: after 30 s, 1 minute, 2 ... at most an hour."""
    return now + timedelta(seconds=min(3_600.0, 30.0 * 2 ** (attempts - 1)))


def _new(signal: Signal) -> Incident:
    return Incident(
        0, signal.key, signal.kind, signal.collection, signal.severity, signal.title,
        signal.detail, 1, signal.at, signal.at,
    )  # fmt: skip


def _past(then: datetime | None, now: datetime) -> float:
    return (now - then).total_seconds() if then is not None else 0.0
