"""What becomes news, and what does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from rag.alert_route import AlertRoute
from rag.alerts.incident import Incident, Patience, Signal, Told, changes, news, settle

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
PATIENCE = Patience(cool_down_s=900, repeat_s=86_400)
HOOK = AlertRoute(channel="webhook", url="http://127.0.0.1:1/")  # type: ignore[arg-type]


def signal(minute: float, *, is_well: bool = False, severity: str = "error") -> Signal:
    at = T0 + timedelta(minutes=minute)
    return Signal("k", "check", severity, "t", "d", at, "acme/docs", is_well)  # type: ignore[arg-type]


def incident(*signals: Signal) -> Incident | None:
    known: Incident | None = None
    for number, item in enumerate(signals, start=1):
        after = settle(known, item, PATIENCE.cool_down_s)
        if after is not None:
            known = replace(after, id=after.id or number)
    return known


def test_a_recovery_without_an_incident_is_nothing() -> None:
    assert incident(signal(0, is_well=True)) is None


def test_signals_of_an_open_incident_are_counted_in_it() -> None:
    known = incident(signal(0, severity="warn"), signal(5), signal(9))

    assert known is not None
    assert (known.id, known.signals, known.severity, known.opened_at) == (1, 3, "error", T0)


@pytest.mark.parametrize(("relapse", "same"), [(14.9, True), (16, False)])
def test_a_relapse_is_the_same_incident_within_the_cool_down(relapse: float, same: bool) -> None:
    known = incident(signal(0), signal(1, is_well=True), signal(relapse))

    assert known is not None
    assert known.is_open
    assert (known.id == 1) is same


def told(event: str, minute: float, severity: str = "error", is_waiting: bool = False) -> Told:
    return Told(event, severity, T0 + timedelta(minutes=minute), is_waiting)  # type: ignore[arg-type]


# (incident, what was told, at minute) -> news
NEWS = [
    ([signal(0)], None, 0, "opened"),
    ([signal(0), signal(1, is_well=True)], None, 2, None),
    ([signal(0)], told("opened", 0), 5, None),
    ([signal(0)], told("opened", 0, is_waiting=True), 5, None),
    ([signal(0), signal(1, is_well=True)], told("opened", 0), 1, "recovered"),
    ([signal(0), signal(1, is_well=True)], told("recovered", 1), 60, None),
    ([signal(0), signal(1, is_well=True), signal(2)], told("recovered", 1), 3, None),
    ([signal(0), signal(1, is_well=True), signal(2)], told("recovered", 1), 16, "opened"),
    ([signal(0)], told("opened", 0, severity="warn"), 1, "updated"),
    ([signal(0)], told("opened", 0), 1500, None),  # not seen anew
    ([signal(0), signal(1400)], told("opened", 0), 1500, "updated"),
]


@pytest.mark.parametrize(("signals", "last", "minute", "expected"), NEWS)
def test_news(
    signals: list[Signal], last: Told | None, minute: float, expected: str | None
) -> None:
    known = incident(*signals)

    assert known is not None
    assert news(known, last, HOOK, T0 + timedelta(minutes=minute), PATIENCE) == expected


@settings(deadline=None)  # other processes may have the machine
@given(st.lists(st.tuples(st.floats(0.1, 30), st.booleans()), min_size=1, max_size=80))
def test_a_flapping_check_is_told_seldom_and_the_last_word_is_true(
    steps: list[tuple[float, bool]],
) -> None:
    known: Incident | None = None
    last: dict[int, Told] = {}
    events: list[tuple[float, str]] = []
    minute, ids = 0.0, 0

    def look(at: float) -> None:
        if known is None:
            return
        event = news(known, last.get(known.id), HOOK, T0 + timedelta(minutes=at), PATIENCE)
        if event is not None:
            last[known.id] = told(event, at, known.severity)
            events.append((at, event))

    for wait, is_well in steps:
        minute += wait
        after = settle(known, signal(minute, is_well=is_well), PATIENCE.cool_down_s)
        if after is not None:
            ids += not after.id
            known = replace(after, id=after.id or ids)
        look(minute)
    look(minute + 16)

    openings = [at for at, event in events if event == "opened"]
    gaps = [late - early for early, late in pairwise(openings)]
    assert all(gap >= 14.99 for gap in gaps)
    assert [event for _at, event in events] == (["opened", "recovered"] * len(events))[
        : len(events)
    ]
    if known is not None and events:
        assert (events[-1][1] == "opened") is known.is_open


ROUTES = [
    ({}, ("check", "warn", "acme/docs"), True),
    ({}, ("stuck_run", "error", None), True),
    ({"min_severity": "error"}, ("check", "warn", "acme/docs"), False),
    ({"kinds": ["run"]}, ("check", "error", "acme/docs"), False),
    ({"collections": ["acme/*"]}, ("check", "error", "acme/docs"), True),
    ({"collections": ["acme/*"]}, ("check", "error", "evil/docs"), False),
    ({"collections": ["acme/*"]}, ("run", "error", None), False),
]


@pytest.mark.parametrize(("limits", "what", "taken"), ROUTES)
def test_a_route_takes_what_it_is_for(
    limits: dict[str, object], what: tuple[str, str, str | None], taken: bool
) -> None:
    route = AlertRoute.model_validate({"channel": "webhook", "url": "http://x/", **limits})

    assert route.takes(*what) is taken


# in Berlin it is one hour later than in Greenwich on this day
@pytest.mark.parametrize(
    ("hour", "quiet"), [(20, False), (21, True), (23, True), (2, True), (5, False)]
)
def test_quiet_hours_pass_midnight_in_the_zone_of_the_route(hour: int, quiet: bool) -> None:
    route = HOOK.model_copy(
        update={
            "quiet_from": datetime(1, 1, 1, 22).time(),  # noqa: DTZ001
            "quiet_until": datetime(1, 1, 1, 6).time(),  # noqa: DTZ001
            "time_zone": "Europe/Berlin",
        }
    )
    known = incident(signal(0))
    assert known is not None
    now = T0.replace(hour=hour)

    assert route.is_quiet(now) is quiet
    assert news(known, None, route, now, PATIENCE) == (None if quiet else "opened")


@pytest.mark.parametrize(
    "route",
    [
        {"channel": "webhook"},
        {"channel": "webhook", "url": "file:///etc/passwd"},
        {"channel": "email"},
        {"channel": "email", "to": ["a@b\nBcc: c@d"]},
        {"channel": "slack", "url": "http://x/", "quiet_from": "22:00"},
        {"channel": "slack", "url": "http://x/", "time_zone": "Mars/Base"},
        {"channel": "slack", "url": "http://x/", "severty": "error"},
    ],
)
def test_a_route_that_can_not_work_is_refused(route: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AlertRoute.model_validate(route)


def test_what_is_looked_at_is_told_by_its_changes() -> None:
    known = incident(signal(0))
    assert known is not None
    now = T0 + timedelta(minutes=3)

    assert list(changes([known], [signal(3)], now)) == []
    assert list(changes([], [signal(3)], now)) == [signal(3)]
    (gone,) = changes([known], [], now)
    assert (gone.key, gone.is_well) == ("k", True)
