"""Every incident is told once to each route, whatever dies meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from rag.alert_route import AlertRoute
from rag.alerts.delivery import send
from rag.alerts.incident import Patience, Signal
from rag.alerts.outbox import ATTEMPTS, deliver, open_incidents, take_signals, write_notices
from rag.errors import ConfigurationError, UnavailableError
from rag.settings import Settings, load_settings
from rag.store import alerts
from rag.store.database import Connection, connect
from rag_assets_tests.alerts.receivers import HttpReceiver, MailReceiver

PATIENCE = Patience(cool_down_s=900, repeat_s=86_400)
T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Death(BaseException):
    """The process is gone."""


def hook(web: HttpReceiver, **limits: object) -> AlertRoute:
    return AlertRoute.model_validate(
        {"channel": "webhook", "url": f"{web.url}/hook/s3cret", **limits}
    )


def signal(key: str = "check:a", *, is_well: bool = False, at: datetime = T0) -> Signal:
    return Signal(key, "check", "error", "it broke", "3 of 5", at, "acme/docs", is_well)


def tick(
    conn: Connection,
    routes: dict[str, AlertRoute],
    signals: list[Signal],
    now: datetime = T0,
    sending: Callable[[AlertRoute, Any], None] | None = None,
) -> dict[str, int]:
    with conn.transaction():
        take_signals(conn, signals, PATIENCE.cool_down_s)
    write_notices(conn, routes, now, PATIENCE)
    chosen = sending or partial(send, load_settings())
    return deliver(conn, routes, chosen, lambda: now, now + timedelta(seconds=1))


def test_one_alert_and_one_recovery(conn: Connection, web: HttpReceiver) -> None:
    routes = {"hook": hook(web)}

    for minute in range(3):
        tick(conn, routes, [signal()], T0 + timedelta(minutes=minute))
    for minute in range(3, 6):
        later = T0 + timedelta(minutes=minute)
        tick(conn, routes, [signal(is_well=True, at=later)], later)

    assert web.events() == [("opened", "check:a"), ("recovered", "check:a")]
    path, body, idempotency_key = web.came[0]
    assert path == "/hook/s3cret"
    assert (body["title"], body["detail"], body["signals"]) == ("it broke", "3 of 5", 1)
    assert idempotency_key == f"rag-notice-{body['id']}"


def test_each_route_is_told_for_itself(conn: Connection, web: HttpReceiver) -> None:
    routes = {"all": hook(web), "other": hook(web, collections=["evil/*"]), "two": hook(web)}

    tick(conn, routes, [signal()])

    assert len(web.came) == 2
    assert len({key for _path, _body, key in web.came}) == 2


def test_a_receiver_that_is_away_gets_it_later_in_order(
    conn: Connection, web: HttpReceiver
) -> None:
    routes = {"hook": hook(web)}
    web.answers = [503, 500]

    assert tick(conn, routes, [signal()])["failed"] == 1
    assert tick(conn, routes, [signal(is_well=True)])["sent"] == 0  # the next try is not due
    assert tick(conn, routes, [], T0 + timedelta(seconds=31))["failed"] == 1
    assert tick(conn, routes, [], T0 + timedelta(seconds=60))["sent"] == 0
    assert tick(conn, routes, [], T0 + timedelta(seconds=95))["sent"] == 1
    tick(conn, routes, [], T0 + timedelta(seconds=96))

    assert [event for event, _key in web.events()] == ["opened", "recovered"]


def test_a_notice_that_nobody_takes_is_given_up_and_seen(
    conn: Connection, web: HttpReceiver
) -> None:
    routes = {"hook": hook(web)}
    web.answers = [500] * ATTEMPTS
    tick(conn, routes, [signal()])

    for hour in range(1, ATTEMPTS + 3):
        tick(conn, routes, [], T0 + timedelta(hours=2 * hour))

    (row,) = alerts.outbox(conn)
    assert (row["route"], row["waiting"], row["given_up"]) == ("hook", 0, 1)
    assert "500" in row["error"]
    assert web.answers == []


def test_a_process_that_dies_before_it_sends_loses_nothing(
    conn: Connection, database_url: str, web: HttpReceiver
) -> None:
    routes = {"hook": hook(web)}

    def die(_route: AlertRoute, _notice: Any) -> None:
        raise Death

    with pytest.raises(Death), connect(database_url) as dying:
        tick(dying, routes, [signal()], sending=die)
    assert web.came == []
    tick(conn, routes, [], T0 + timedelta(seconds=31))

    assert web.events() == [("opened", "check:a")]


def test_a_process_that_dies_after_it_sent_repeats_under_the_same_id(
    conn: Connection, database_url: str, web: HttpReceiver
) -> None:
    routes = {"hook": hook(web)}

    def send_and_die(route: AlertRoute, notice: Any) -> None:
        send(load_settings(), route, notice)
        raise Death

    with pytest.raises(Death), connect(database_url) as dying:
        tick(dying, routes, [signal()], sending=send_and_die)
    tick(conn, routes, [], T0 + timedelta(seconds=10))
    assert len(web.came) == 1
    tick(conn, routes, [], T0 + timedelta(seconds=31))

    assert len({key for _path, _body, key in web.came}) == 1


def test_signals_are_taken_with_the_position_or_not_at_all(conn: Connection) -> None:
    with pytest.raises(Death), conn.transaction():
        take_signals(conn, [signal()], PATIENCE.cool_down_s)
        alerts.move_position(conn, "alerts", 7)
        raise Death

    with conn.transaction():
        assert alerts.position(conn, "alerts") is None
    assert open_incidents(conn) == []


def test_a_flapping_check_gives_two_notices_each_cool_down(
    conn: Connection, web: HttpReceiver
) -> None:
    routes = {"hook": hook(web)}

    for minute in range(60):
        now = T0 + timedelta(minutes=minute)
        tick(conn, routes, [signal(is_well=bool(minute % 2), at=now)], now)

    events = [event for event, _key in web.events()]
    assert events == ["opened", "recovered"] * 4
    assert len({body["incident"] for _path, body, _key in web.came}) == 1


def test_a_route_that_was_removed_is_given_up(conn: Connection, web: HttpReceiver) -> None:
    web.answers = [500]
    tick(conn, {"hook": hook(web)}, [signal()])

    assert tick(conn, {}, [], T0 + timedelta(minutes=1))["given_up"] == 1


def test_slack_gets_text_that_no_name_can_mark_up(conn: Connection, web: HttpReceiver) -> None:
    route = AlertRoute.model_validate({"channel": "slack", "url": web.url})
    bad = Signal("k", "run", "warn", "<!channel> & co", "x", T0)

    tick(conn, {"slack": route}, [bad])

    assert web.came[0][1] == {"text": ":warning: *WARN: &lt;!channel&gt; &amp; co*\nx"}


def test_alertmanager_sees_the_same_alert_fire_and_end(conn: Connection, web: HttpReceiver) -> None:
    routes = {"am": AlertRoute.model_validate({"channel": "alertmanager", "url": web.url})}

    tick(conn, routes, [signal()])
    tick(conn, routes, [signal(is_well=True)], T0 + timedelta(minutes=1))

    (fired,), (ended,) = web.came[0][1], web.came[1][1]
    assert web.came[0][0] == "/api/v2/alerts"
    assert fired["labels"] == ended["labels"]
    assert fired["labels"]["alertname"] == "rag_check"
    assert datetime.fromisoformat(fired["endsAt"]) > datetime.now(UTC) + timedelta(days=1)
    assert datetime.fromisoformat(ended["endsAt"]) <= datetime.now(UTC)


def mailing(monkeypatch: pytest.MonkeyPatch, url: str) -> Settings:
    monkeypatch.setenv("RAG_ALERT_SMTP_URL", url)
    monkeypatch.setenv("RAG_ALERT_MAIL_FROM", "rag@acme.example")
    return load_settings()


def test_mail_is_sent_once_to_all_addresses(
    conn: Connection, post_office: MailReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailing(monkeypatch, post_office.url)
    to = ["a@acme.example", "b@acme.example"]
    routes = {"mail": AlertRoute.model_validate({"channel": "email", "to": to})}

    tick(conn, routes, [Signal("k", "run", "error", "two\nlines", "why", T0, "acme/docs")])
    tick(conn, routes, [])

    (mail,) = post_office.mails
    assert post_office.recipients == to
    assert mail["Subject"] == "ERROR: two lines"
    assert "why" in mail.get_payload()
    assert mail["Message-ID"].startswith("<notice-")


def test_a_mail_server_that_refuses_is_tried_again(
    conn: Connection, post_office: MailReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailing(monkeypatch, post_office.url)
    post_office.refuses = True
    routes = {"mail": AlertRoute.model_validate({"channel": "email", "to": ["a@b.example"]})}

    assert tick(conn, routes, [signal()])["failed"] == 1
    post_office.refuses = False
    assert tick(conn, routes, [], T0 + timedelta(seconds=31))["sent"] == 1


NOTICE = {
    "id": 1, "incident_id": 1, "event": "opened", "kind": "run", "severity": "error",
    "collection": None, "title": "t", "detail": "d", "signals": 1, "key": "k",
    "opened_at": T0, "made_at": T0,
}  # fmt: skip


@pytest.mark.parametrize("status", [302, 404, 500, None])
def test_no_secret_is_said_when_a_delivery_fails(
    web: HttpReceiver, caplog: pytest.LogCaptureFixture, status: int | None
) -> None:
    web.answers = [status] if status else []
    url = f"{web.url}/hook/s3cret" if status else "http://127.0.0.1:1/hook/s3cret"
    route = AlertRoute.model_validate({"channel": "webhook", "url": url})

    with caplog.at_level(logging.DEBUG), pytest.raises(UnavailableError) as caught:
        send(load_settings(), route, NOTICE)

    assert "s3cret" not in f"{caught.value} {caught.value.__cause__} {caplog.text} {route!r}"
    assert caught.value.code == "alert_undelivered"


def test_a_password_never_travels_in_the_clear(
    post_office: MailReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = post_office.url.replace("smtp://", "smtp://me:s3cret@")
    settings = mailing(monkeypatch, url)
    route = AlertRoute.model_validate({"channel": "email", "to": ["a@b.example"]})

    with pytest.raises(UnavailableError) as caught:  # this server knows no STARTTLS
        send(settings, route, NOTICE)

    assert post_office.mails == []
    assert "s3cret" not in str(caught.value)


def test_mail_without_a_server_says_which_setting_is_missing() -> None:
    route = AlertRoute.model_validate({"channel": "email", "to": ["a@b.example"]})

    with pytest.raises(ConfigurationError, match="RAG_ALERT_SMTP_URL") as caught:
        send(load_settings(), route, NOTICE)

    assert caught.value.code == "no_mail_server"
