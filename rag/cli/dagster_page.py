"""What Dagster's web server says about the sensor and its runs, asked over GraphQL."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from rag.errors import UnavailableError

SENSOR = "object_store_sensor"
LOCATION = "rag_assets"
_TIMEOUT_S = 30.0
_LONGEST = 600  # characters of one event
_UNFINISHED = ("QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING", "MANAGED")

_LOOK = """query Look($sensor: SensorSelector!, $tags: [ExecutionTag!]) {
  sensorOrError(sensorSelector: $sensor) {
    __typename
    ... on Sensor { sensorState { ticks(limit: 1) {
      status timestamp endTimestamp skipReason error { message } } } }
  }
  runsOrError(filter: {tags: $tags}, limit: 20) {
    __typename
    ... on Runs { results { runId status creationTime } }
  }
}"""
_EVENTS = """query Events($run: ID!) {
  logsForRun(runId: $run, limit: 1000) {
    __typename
    ... on EventConnection { events {
      __typename
      ... on MessageEvent { message timestamp stepKey level }
      ... on ExecutionStepFailureEvent { error { message causes { message } } }
    } }
  }
}"""


@dataclass(frozen=True, slots=True)
class Tick:
    """One look of the sensor."""

    status: str
    started_at: float
    reason: str


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the job."""

    id: str
    status: str
    created_at: float

    @property
    def is_finished(self) -> bool:
        return self.status not in _UNFINISHED


@dataclass(frozen=True, slots=True)
class Look:
    """The sensor's newest tick, and the newest runs of a partition."""

    tick: Tick | None
    runs: tuple[Run, ...]

    @property
    def is_busy(self) -> bool:
        return any(not run.is_finished for run in self.runs)


def look(url: str, partition: str) -> Look:
    """What sensor and runs of a partition are at. Raises UnavailableError."""
    data = _ask(url, _LOOK, {
        "sensor": {
            "repositoryName": "__repository__",
            "repositoryLocationName": LOCATION,
            "sensorName": SENSOR,
        },
        "tags": [{"key": "dagster/partition", "value": partition}],
    })  # fmt: skip
    ticks = (data["sensorOrError"].get("sensorState") or {}).get("ticks") or []
    runs = data["runsOrError"].get("results") or []
    return Look(
        _tick(ticks[0]) if ticks else None,
        tuple(Run(run["runId"], run["status"], run["creationTime"]) for run in runs),
    )


def log_tail(url: str, run_id: str, lines: int = 12) -> list[str]:
    """What failed in a run and why; where nothing did, its last events."""
    data = _ask(url, _EVENTS, {"run": run_id})
    events = [event for event in data["logsForRun"].get("events") or [] if event.get("message")]
    failures = [event for event in events if event.get("error")]
    return [_event_line(event) for event in (failures or events)[-lines:]]


def _tick(tick: dict[str, Any]) -> Tick:
    error = (tick.get("error") or {}).get("message") or ""
    return Tick(tick["status"], float(tick["timestamp"]), error or tick.get("skipReason") or "")


def _event_line(event: dict[str, Any]) -> str:
    step = f"{event['stepKey']}: " if event.get("stepKey") else ""
    error = event.get("error") or {}
    causes = [error, *(error.get("causes") or [])]
    why = " <- ".join(each["message"].strip() for each in causes if each.get("message"))
    text = " ".join(f"{event['message']} {why}".split())
    return f"{step}{text}"[:_LONGEST]


def _ask(url: str, query: str, variables: dict[str, object]) -> dict[str, Any]:
    request = urllib.request.Request(  # noqa: S310 - our own web server on loopback
        f"{url}/graphql",
        data=json.dumps({"query": query, "variables": variables}).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310
            reply = json.load(answer)
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise UnavailableError(
            f"Dagster's web server at {url} does not answer ({error}): see its log in the folder "
            "`logs`.",
            code="dagster_unreachable",
        ) from error
    if reply.get("errors"):
        raise UnavailableError(
            f"Dagster's web server refused a question: {reply['errors'][0]['message']}",
            code="dagster_unreachable",
        )
    data: dict[str, Any] = reply["data"]
    return data
