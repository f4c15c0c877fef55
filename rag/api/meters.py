"""What the service measures of itself, as Prometheus reads it."""

from __future__ import annotations

import threading
import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from rag.api.watch_meters import WatchMeters
from rag.ports import Usage
from rag.store import files
from rag.store.database import Connection

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_STATES = ("live", "partial", "pending", "failed", "deleted")
_LOOK_S = 5.0


class Meters:
    """Counters of one service. Labels are routes, states and error codes; tenants only where their
    number is bounded (`watch`)."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.seconds = Histogram(
            "rag_request_seconds", "Time to answer.", ["route", "method", "status"],
            buckets=_BUCKETS, registry=self.registry,
        )  # fmt: skip
        self.errors = Counter(
            "rag_errors", "Answers that are errors.", ["code"], registry=self.registry
        )
        self.model_calls = Counter(
            "rag_model_calls", "Calls of the language model, by how they ended.", ["outcome"],
            registry=self.registry,
        )  # fmt: skip
        self.model_tokens = Counter(
            "rag_model_tokens", "Tokens of the language model's calls.", ["kind"],
            registry=self.registry,
        )  # fmt: skip
        self.in_flight = Gauge(
            "rag_requests_in_flight", "Requests being worked on.", registry=self.registry
        )
        self.documents = Gauge(
            "rag_documents", "Documents by state.", ["state"], registry=self.registry
        )
        self.oldest_pending = Gauge(
            "rag_oldest_pending_seconds",
            "How long the oldest document waits to be searchable.",
            registry=self.registry,
        )
        self.hints = Gauge(
            "rag_hints", "Changes that events named and no run has looked at.",
            registry=self.registry,
        )  # fmt: skip
        self.oldest_look = Gauge(
            "rag_oldest_look_seconds",
            "Age of the last complete look at the source that was looked at least.",
            registry=self.registry,
        )
        self.connections = Gauge(
            "rag_connections", "Connections to Postgres, and requests that wait for one.",
            ["state"], registry=self.registry,
        )  # fmt: skip
        self.watch = WatchMeters()
        self.registry.register(self.watch)
        self._looked_at = -_LOOK_S
        self._lock = threading.Lock()

    def call_ended(self, outcome: str, usage: Usage) -> None:
        """A call of the language model is over."""
        self.model_calls.labels(outcome).inc()
        self.model_tokens.labels("prompt").inc(usage.prompt_tokens)
        self.model_tokens.labels("completion").inc(usage.completion_tokens)

    def look(self, conn: Connection) -> None:
        """Count documents, at most every few seconds."""
        with self._lock:
            if time.monotonic() - self._looked_at < _LOOK_S:
                return
            rows = {row["state"]: row for row in files.counts(conn)}
            backlog = files.backlog(conn)
            self._looked_at = time.monotonic()
        for state in _STATES:
            self.documents.labels(state).set(rows[state]["documents"] if state in rows else 0)
        self.oldest_pending.set(rows["pending"]["oldest_s"] if "pending" in rows else 0)
        self.hints.set(backlog["hints"])
        self.oldest_look.set(backlog["oldest_look_s"])

    def text(self) -> bytes:
        """All of it in the text format."""
        return generate_latest(self.registry)
