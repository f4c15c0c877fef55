"""POST /api/topic, /api/segment, /api/collect and /retrieve: another system's words for ours.

A topic is a namespace, a segment a collection. The key comes as header; a body may repeat it.
"""

from __future__ import annotations

import hmac
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from fastapi import Body, Query, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rag.api.principal import Principal, unauthenticated
from rag.api.service import Caller, Service, Serving
from rag.api.trail import Trailing
from rag.errors import ConfigurationError, ConflictError, NotFoundError, PolicyError
from rag.ingest.backfill import backfill
from rag.model import MOST_DAYS, CollectionName
from rag.sources.selection import days_ago
from rag.store import collections, reading, removal
from rag.store.collections import Collection
from rag.store.database import Connection
from rag.summary import summarise

_ANALYSIS_SENTENCES = 3
_LONGEST_RECORD = 200_000
_MOST_REQUESTS = 100


class Keyed(BaseModel):
    """A body that may repeat the key."""

    model_config = ConfigDict(extra="forbid")
    comes_in_lists: ClassVar[bool] = False
    api_key: str | None = None


class Topic(Keyed):
    """Make a namespace, or remove it with everything in it."""

    topic: str
    topic_action: Literal["create", "delete"]


class Segment(Keyed):
    """Make a collection of a namespace, or remove it."""

    topic: str
    segment: str
    segment_action: Literal["create", "delete"]


class Collect(Keyed):
    """Have collections looked at now: what is new (`daily`), or also what was last modified up to
    `days` ago where sources are bounded (`backfill`)."""

    comes_in_lists = True
    topic: str
    segment_targets: Annotated[list[str], Field(min_length=1, max_length=100)]
    mode: Annotated[
        str, Field(max_length=100, json_schema_extra={"enum": ["daily", "backfill"]})
    ] = "daily"
    days: Annotated[
        int | None,
        Field(ge=1, le=MOST_DAYS, description="Of a backfill; the setting backfill_days if unset."),
    ] = None

    def since(self, default_days: int, now: datetime) -> str | None:
        """How far back its bounded sources are to reach; None leaves them as they are. Raises
        ConfigurationError (`bad_mode`, `bad_request`)."""
        if self.mode == "backfill":
            return days_ago(self.days or default_days, now)
        if self.mode != "daily":
            raise ConfigurationError(f"mode {self.mode} not valid", code="bad_mode")
        if self.days is not None:
            raise _wrong("Invalid request format: days: only a backfill has them")
        return None


class Retrieve(Keyed):
    """Where a record is."""

    topic: str
    segment: str


def described(form: type[Keyed]) -> dict[str, Any]:
    """The body for the API's description: it is read by hand, for the sake of its errors."""
    schema = form.model_json_schema()
    if form.comes_in_lists:
        schema = {"anyOf": [schema, {"type": "array", "items": schema}]}
    return {"requestBody": {"content": {"application/json": {"schema": schema}}}}


_Any = Annotated[Any, Body()]
Form = TypeVar("Form", bound=Keyed)


def topic(body: _Any, request: Request, service: Serving, caller: Caller) -> dict[str, Any]:
    """Create or delete a topic. A deletion takes all its segments, their data and keys along."""
    given = _read(Topic, body, request, service)
    _check_admin(caller)
    name = CollectionName.parse(f"{given.topic}/x").namespace
    with service.database.connection() as conn:
        if given.topic_action == "create":
            removal.ensure_namespace(conn, name)
            return {"message": "Topic and database created successfully", "topic": name}
        found = removal.namespace_id(conn, name)
        if found is None:
            raise NotFoundError(f"There is no topic {name}.", code="collection_not_found")
        segments = removal.collections_of(conn, found)
    for each in segments:  # each whole; a repeat goes on where one was cut short
        _remove(service, CollectionName(name, each))
    with service.database.connection() as conn:
        removal.remove_namespace(conn, found)
    return {"message": "Topic deleted successfully", "topic": name}


def segment(body: _Any, request: Request, service: Serving, caller: Caller) -> dict[str, Any]:
    """Create or delete a segment of a topic; a deletion takes all its data along."""
    given = _read(Segment, body, request, service)
    name = caller.open(CollectionName.parse(f"{given.topic}/{given.segment}"))
    if given.segment_action == "delete":
        _check_admin(caller)
        _remove(service, name)
        return _done("Segment deleted successfully", name)
    with service.database.connection() as conn:
        if removal.namespace_id(conn, name.namespace) is None:
            raise _wrong(f"Topic validation failed: topic '{given.topic}' does not exist")
        try:
            collections.create_collection(conn, name)
        except ConflictError:
            raise ConflictError(
                f"segment '{given.segment}' already exists in topic '{given.topic}'",
                code="collection_exists",
            ) from None
    return _done("Segment created successfully", name)


def collect(body: _Any, request: Request, service: Serving, caller: Caller) -> Any:
    """Ask for a look at the sources of segments, or for a backfill: one request, or a list."""
    requests = body if isinstance(body, list) else [body]
    if len(requests) > _MOST_REQUESTS:
        raise _wrong(f"Invalid request format: at most {_MOST_REQUESTS} requests at a time")
    given = [_read(Collect, each, request, service) for each in requests]
    now, days = datetime.now(UTC), service.settings.backfill_days
    reached = [(each, each.since(days, now)) for each in given]
    asked = dict.fromkeys(
        (each.topic, target, since) for each, since in reached for target in each.segment_targets
    )
    with service.database.connection() as conn, conn.transaction():
        for wanted, target, since in asked:
            found = _segment(conn, caller, wanted, target)
            if since is None:
                removal.ask_for_look(conn, found)
            else:
                backfill(conn, found, since)
    answers = [_requested(each, since) for each, since in reached]
    return answers if isinstance(body, list) else answers[0]


def _requested(given: Collect, since: str | None) -> dict[str, Any]:
    config = {"topic": given.topic, "segment_targets": given.segment_targets}
    reach = {} if since is None else {"mode": given.mode, "since": since}
    return {"message": "Collection requested", "config": config | reach}


def _segment(conn: Connection, caller: Principal, topic: str, segment: str) -> Collection:
    """The collection. Raises ConfigurationError (`bad_request`); what the key does not open is
    answered as what does not exist."""
    name = CollectionName.parse(f"{topic}/{segment}")
    is_own = caller.scope.namespace in (None, name.namespace)
    if not is_own or removal.namespace_id(conn, name.namespace) is None:
        raise _wrong(f"Topic validation failed: topic '{topic}' does not exist")
    try:
        return collections.find_collection(conn, caller.open(name))
    except NotFoundError:
        raise _wrong(
            f"Segment validation failed: segment '{segment}' does not exist in topic '{topic}'"
        ) from None


def retrieve(
    body: _Any,
    request: Request,
    service: Serving,
    caller: Caller,
    trail: Trailing,
    ticker: Annotated[str | None, Query(max_length=255, pattern=r"^[^\x00]*$")] = None,
) -> dict[str, Any]:
    """A record by its ticker: a document's name, with or without its ending; `{}` for none."""
    given = _read(Retrieve, body, request, service)
    if not ticker:
        raise _wrong("Missing ticker: send it as ?ticker=NAME.")
    name = caller.open(CollectionName.parse(f"{given.topic}/{given.segment}"))
    with service.reading(name.namespace) as conn:
        row = reading.served_text(
            conn, name, ticker, principals=caller.principals, length=_LONGEST_RECORD
        )
    trail.note(name, [] if row is None else [row["document_id"]])
    if row is None:
        return {}
    return {
        "topic": given.topic,
        "segment": given.segment,
        "ticker": ticker,
        "analysis": summarise(row["text"], _ANALYSIS_SENTENCES),
        "raw_data": row["text"],
        "timestamp": (row["modified_at"] or row["published_at"] or datetime.now(UTC)).isoformat(),
    }


def _remove(service: Service, name: CollectionName) -> None:
    """The bytes of its uploads, then the collection: cut short, a repeat finds what is left."""
    with service.database.connection() as conn:
        found = collections.find_collection(conn, name)
        sources = {row["uri"] for row in collections.list_sources(conn, found)}
    if service.bucket.source_uri(name) in sources:
        service.bucket.clear(name)
    with service.database.connection() as conn:
        removal.remove_collection(conn, found)


def _check_admin(caller: Principal) -> None:
    if caller.scope.role != "admin":
        raise PolicyError("This key may not do that: it takes admin.", code="forbidden")


def _done(message: str, name: CollectionName) -> dict[str, Any]:
    return {"message": message, "topic": name.namespace, "segment": name.collection}


def _read(form: type[Form], body: Any, request: Request, service: Service) -> Form:
    """The body as a form. Raises ConfigurationError (`bad_request`), and PolicyError
    (`unauthenticated`) when it repeats another key than the header's."""
    try:
        given = form.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise _wrong(f"Invalid request format: {where}: {first['msg']}") from None
    if given.api_key is not None and service.is_guarded():
        sent = request.headers.get("x-api-key", "") or request.headers.get("authorization", "")
        key = sent.removeprefix("Bearer ").strip().encode()
        if not hmac.compare_digest(key, given.api_key.encode("utf-8", "replace")):
            raise unauthenticated()
    return given


def _wrong(message: str) -> ConfigurationError:
    return ConfigurationError(message, code="bad_request")
