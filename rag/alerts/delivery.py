"""How a notice reaches people: webhook, Slack, Alertmanager, e-mail. Addresses and passwords never
enter a message of ours: an incoming webhook's address is a secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

from rag.alert_route import AlertRoute
from rag.errors import ConfigurationError, UnavailableError

if TYPE_CHECKING:
    from smtplib import SMTP

    from rag.settings import Settings
    from rag.store.database import Row

# Alertmanager takes an alert without an end for resolved after five minutes
_LASTS = timedelta(days=30)


def send(settings: Settings, route: AlertRoute, notice: Row) -> None:
    """Deliver the notice. Raises UnavailableError (`alert_undelivered`) or ConfigurationError
    (`no_mail_server`)."""
    if route.channel == "email":
        _send_mail(settings, route, notice)
        return
    assert route.url is not None
    url = route.url.get_secret_value()
    if route.channel == "alertmanager":
        url = url.rstrip("/").removesuffix("/api/v2/alerts") + "/api/v2/alerts"
    _post(url, _BODIES[route.channel](notice), notice, settings.alert_timeout_s)


def webhook_body(notice: Row) -> dict[str, object]:
    """The notice as it is; `id` is the same when a notice is delivered again."""
    names = ("id", "event", "kind", "severity", "collection", "title", "detail", "signals", "key")
    body: dict[str, object] = {name: notice[name] for name in names}
    body["incident"] = notice["incident_id"]
    body["opened_at"] = notice["opened_at"].isoformat()
    body["made_at"] = notice["made_at"].isoformat()
    return body


def slack_body(notice: Row) -> dict[str, object]:
    """A message of two lines, markup in names made harmless."""
    sign = ":white_check_mark:" if notice["event"] == "recovered" else _SIGNS[notice["severity"]]
    text = f"{sign} *{_slack(subject(notice))}*\n{_slack(notice['detail'])}"
    return {"text": text}


def alertmanager_body(notice: Row) -> list[dict[str, object]]:
    """One alert, the same by its labels from firing to resolved."""
    now = datetime.now(UTC)
    ends = now if notice["event"] == "recovered" else now + _LASTS
    return [
        {
            # the severity is no label: when it rises the alert stays the same one
            "labels": {
                "alertname": f"rag_{notice['kind']}",
                "key": notice["key"],
                "collection": notice["collection"] or "",
                "incident": str(notice["incident_id"]),
            },
            "annotations": {
                "summary": notice["title"],
                "description": notice["detail"],
                "severity": notice["severity"],
            },
            "startsAt": notice["opened_at"].isoformat(),
            "endsAt": ends.isoformat(),
        }
    ]


_BODIES = {"webhook": webhook_body, "slack": slack_body, "alertmanager": alertmanager_body}
_SIGNS: Mapping[str, str] = {"warn": ":warning:", "error": ":rotating_light:"}


def subject(notice: Row) -> str:
    """One line that says what happened."""
    word = {"opened": notice["severity"].upper(), "updated": "STILL", "recovered": "RECOVERED"}
    return " ".join(f"{word[notice['event']]}: {notice['title']}".split())


def _slack(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _post(url: str, body: object, notice: Row, timeout_s: float) -> None:
    import http.client
    from urllib.error import HTTPError
    from urllib.request import HTTPRedirectHandler, Request, build_opener

    class NoRedirects(HTTPRedirectHandler):
        def redirect_request(self, *_given: object) -> None:
            return None

    request = Request(  # noqa: S310 the route's validator lets http(s) through only
        url,
        json.dumps(body).encode(),
        {"Content-Type": "application/json", "Idempotency-Key": f"rag-notice-{notice['id']}"},
    )
    try:
        with build_opener(NoRedirects).open(request, timeout=timeout_s) as answer:
            answer.read(1024)
    except HTTPError as error:
        with error:
            raise _undelivered(f"the server answered {error.code}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        # the reason names the address: its class is all that may be said
        raise _undelivered(type(getattr(error, "reason", error)).__name__) from None


def _send_mail(settings: Settings, route: AlertRoute, notice: Row) -> None:
    from smtplib import SMTPException

    if settings.alert_smtp_url is None:
        raise ConfigurationError(
            "An e-mail route needs a mail server: set RAG_ALERT_SMTP_URL.", code="no_mail_server"
        )
    server = urlsplit(settings.alert_smtp_url.get_secret_value())
    try:
        with _open_mail(server, settings.alert_timeout_s) as smtp:
            smtp.send_message(mail(settings.alert_mail_from, route.to, notice))
    except (SMTPException, OSError) as error:
        code = getattr(error, "smtp_code", None)
        raise _undelivered(type(error).__name__ + (f" {code}" if code else "")) from None


def mail(sender: str, to: tuple[str, ...], notice: Row) -> EmailMessage:
    """The notice as a mail; its Message-ID is the same when it is delivered again."""
    message = EmailMessage()
    message["Subject"] = subject(notice)
    message["From"] = sender
    message["To"] = ", ".join(to)
    message["Message-ID"] = f"<notice-{notice['id']}.incident-{notice['incident_id']}@rag>"
    message["Date"] = notice["made_at"]
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(
        f"{notice['detail']}\n\nCollection: {notice['collection'] or '-'}\n"
        f"Since: {notice['opened_at'].isoformat(timespec='seconds')}\n"
        f"Seen: {notice['signals']} times\nIncident: {notice['incident_id']}\n"
    )
    return message


def _open_mail(server: SplitResult, timeout_s: float) -> SMTP:
    import smtplib
    import ssl

    host = server.hostname or "localhost"
    if server.scheme == "smtps":
        context = ssl.create_default_context()
        smtp: SMTP = smtplib.SMTP_SSL(host, server.port or 465, timeout=timeout_s, context=context)
    else:
        smtp = smtplib.SMTP(host, server.port or 25, timeout=timeout_s)
    try:
        if server.username:
            if server.scheme != "smtps":  # a password never travels in the clear
                smtp.starttls(context=ssl.create_default_context())
            smtp.login(unquote(server.username), unquote(server.password or ""))
    except BaseException:
        smtp.close()
        raise
    return smtp


def _undelivered(why: str) -> UnavailableError:
    return UnavailableError(
        f"The notice was not delivered ({why}): check the route's address; it is tried again.",
        code="alert_undelivered",
    )
