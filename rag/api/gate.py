"""The door every request comes through: identity, limits, request id, metrics, one log line.

It stands before routing, so that no body of a stranger is read. Logs name the principal, the route,
the outcome and the ids of documents that were read; never a query, a body, a header or a query
string.
"""

from __future__ import annotations

import json
import logging
import re
import time
import traceback
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from anyio import to_thread
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag.api.body import Body
from rag.api.faults import UNEXPECTED, Fault, fault_of
from rag.api.identity import Identities
from rag.api.needs import Needs
from rag.api.principal import LOCAL, Need, Principal
from rag.api.service import Service
from rag.api.trail import Trail
from rag.errors import PolicyError, QuotaError, RagError, UnavailableError
from rag.rate import TokenBucket

_LOG = logging.getLogger("rag.api")
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_UPLOAD = "/upload"
_JSON = ("application/json",)
_FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")


@dataclass(slots=True)
class _Visit:
    """One request on its way through."""

    request_id: str
    method: str
    route: str
    started: float
    status: int = 0
    code: str | None = None
    principal: str | None = None
    has_begun: bool = False
    trail: Trail = field(default_factory=Trail)


class Gate:
    """ASGI middleware. `needs` names what each path asks of its callers; a path that is not named
    is answered to those with a key only."""

    def __init__(self, app: ASGIApp, service: Service, needs: Needs) -> None:
        self._app, self._service, self._needs = app, service, needs
        self._identities = Identities(service)
        self._in_flight = self._places = 0
        self._places_of: Counter[str] = Counter()
        self._rates: dict[str, TokenBucket] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        visit = _visit(scope, self._needs)
        scope.setdefault("state", {})["request_id"] = visit.request_id
        scope["state"]["trail"] = visit.trail
        sending = _answering(visit, send)
        self._in_flight += 1
        self._service.meters.in_flight.set(self._in_flight)
        try:
            await self._admit(scope, receive, sending, visit)
        except RagError as error:
            await _refuse(fault_of(error), visit, scope, sending)
        except Exception as error:
            line = {"event": "unexpected", "request_id": visit.request_id, "where": _where(error)}
            _LOG.error(json.dumps(line))
            await _refuse(UNEXPECTED, visit, scope, sending)
        finally:
            self._in_flight -= 1
            self._service.meters.in_flight.set(self._in_flight)
            self._record(scope, visit)

    async def _admit(self, scope: Scope, receive: Receive, send: Send, visit: _Visit) -> None:
        need = self._needs.of(scope["path"])
        if need is Need.PUBLIC:
            await self._app(scope, self._bounded(scope, receive), send)
            return
        with self._place():
            headers = Headers(scope=scope)
            principal = self._identities.known(headers)
            if principal is None:
                principal = await to_thread.run_sync(self._identities.find, headers)
            visit.principal = principal.name
            self._check_rate(principal)
            if need is not None:
                principal.check(need)  # before the body
                _check_type(scope)
            scope["state"]["principal"] = principal
            with self._place_of(principal):
                await self._app(scope, self._bounded(scope, receive), send)

    @contextmanager
    def _place(self) -> Iterator[None]:
        """One of the requests worked on at a time; static files and probes are none."""
        self._places += 1
        try:
            if self._service.is_stopping or self._places > self._service.settings.api_max_in_flight:
                raise UnavailableError("Too many requests at a time: try again.", code="overloaded")
            yield
        finally:
            self._places -= 1

    @contextmanager
    def _place_of(self, principal: Principal) -> Iterator[None]:
        """One of the requests of one key: it leaves some for the others."""
        most, name = self._service.settings.api_max_in_flight_per_key, principal.name
        if principal is not LOCAL and self._places_of[name] >= most:
            raise QuotaError(
                f"More than {most} requests of this key at a time: wait for their answers.",
                code="too_many_at_once", retry_after_s=1,
            )  # fmt: skip
        self._places_of[name] += 1
        try:
            yield
        finally:
            self._places_of[name] -= 1

    def _check_rate(self, principal: Principal) -> None:
        limit = self._service.settings.api_requests_per_minute
        if not limit:
            return
        bucket = self._rates.setdefault(principal.name, TokenBucket(limit))
        wait_s = bucket.take(time.monotonic())
        if wait_s > 0:
            raise QuotaError(
                f"More than {limit} requests a minute: slow down.",
                code="rate_limited", retry_after_s=max(1, round(wait_s)),
            )  # fmt: skip

    def _bounded(self, scope: Scope, receive: Receive) -> Receive:
        settings = self._service.settings
        is_upload = scope["path"] == _UPLOAD

        def keep(error: RagError) -> None:
            scope["state"]["body_error"] = error

        body = Body(
            receive,
            settings.max_upload_bytes if is_upload else settings.api_max_body_bytes,
            settings.api_body_timeout_s,
            settings.api_body_bytes_per_s,
            keep,
        )
        body.check_length(Headers(scope=scope).get("content-length", "0"))
        return body.next

    def _record(self, scope: Scope, visit: _Visit) -> None:
        code = visit.code or scope["state"].get("code")
        seconds = time.perf_counter() - visit.started
        meters = self._service.meters
        meters.seconds.labels(visit.route, visit.method, str(visit.status)).observe(seconds)
        if visit.status >= 400:
            meters.errors.labels(code or str(visit.status)).inc()
        line = {
            "event": "request", "request_id": visit.request_id, "method": visit.method,
            "route": visit.route, "status": visit.status, "ms": round(seconds * 1000, 1),
            "principal": visit.principal, "code": code,
        }  # fmt: skip
        if retrieved := visit.trail.retrieved():
            line["retrieved"] = retrieved
        _LOG.info(json.dumps(line))


def _visit(scope: Scope, needs: Needs) -> _Visit:
    given = Headers(scope=scope).get("x-request-id", "")
    request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
    route = needs.route(scope["path"]) or "unmatched"
    method = scope["method"] if scope["method"] in ("GET", "POST", "DELETE") else "other"
    return _Visit(request_id, method, route, time.perf_counter())


def _check_type(scope: Scope) -> None:
    """Raises PolicyError (`unsupported_media_type`) for a body that no route reads. Without a type
    it is the route that says what is wrong."""
    read = _FORMS if scope["path"] == _UPLOAD else _JSON
    given = Headers(scope=scope).get("content-type", "").partition(";")[0].strip().lower()
    if scope["method"] == "POST" and given and given not in read:
        raise PolicyError(f"Send the body as {read[0]}.", code="unsupported_media_type")


def _answering(visit: _Visit, send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            visit.status, visit.has_begun = message["status"], True
            headers = MutableHeaders(scope=message)
            headers["X-Request-ID"] = visit.request_id
            headers["X-Content-Type-Options"] = "nosniff"
        await send(message)

    return sending


async def _refuse(fault: Fault, visit: _Visit, scope: Scope, send: Send) -> None:
    visit.code = fault.code
    if visit.has_begun:
        return  # half an answer is out: the server closes the connection
    answer = JSONResponse(fault.body(visit.request_id), fault.status, fault.headers())
    await answer(scope, _nothing, send)


def _where(error: Exception) -> str:
    """Type and place of a defect; its message may quote content, so it stays out of the log."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    places = " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames))
    return f"{type(error).__name__} at {places}"


async def _nothing() -> Any:
    return {"type": "http.disconnect"}
