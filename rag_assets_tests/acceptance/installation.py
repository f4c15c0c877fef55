"""The whole platform in processes of its own, as `rag up` starts it, and what a person sees of it:
the HTTP service, Dagster's API, the alerts that come."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.model import CollectionName
from rag.sources.folder import uri_of
from rag.stack.endpoints import Endpoints, running_endpoints
from rag.stack.shared_server import module_environment
from rag.store import collections, standing
from rag.store.collections import Collection
from rag.store.database import Connection, connect
from rag_assets_tests.stack.processes import eventually, pid_of, using

if TYPE_CHECKING:
    from dagster import AssetCheckKey

_UP = """
import sys
from rag.errors import RagError
from rag.settings import load_settings
from rag.stack.supervisor import running_stack
from rag.store.migration import migrate
try:
    def prepare(endpoints):
        migrate(endpoints.database_url)
    with running_stack(
        load_settings(), lambda line: None, with_service="service" in sys.argv,
        before_dagster=prepare,
    ) as stack:
        print(stack.endpoints.dagster_url, flush=True)
        stack.wait()
except KeyboardInterrupt:
    print("interrupted", flush=True)
except RagError as error:
    print(error.code, flush=True)
"""
_LAUNCH = """mutation Launch($given: ExecutionParams!) {
  launchRun(executionParams: $given) { __typename
    ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
_SELECTOR = {"repositoryLocationName": "rag_assets", "repositoryName": "__repository__"}
_SENSOR = """query Sensor($given: SensorSelector!) { sensorOrError(sensorSelector: $given) {
  ... on Sensor { id sensorState {
    status ticks(limit: 5) { status timestamp endTimestamp } } } } }"""
_STOP = "mutation Stop($id: String!) { stopSensor(id: $id) { __typename } }"
_START = """mutation Start($given: SensorSelector!) {
  startSensor(sensorSelector: $given) { __typename } }"""
_SCHEDULE = """query Schedule($given: ScheduleSelector!) {
  scheduleOrError(scheduleSelector: $given) { ... on Schedule { id } } }"""
_STOP_SCHEDULE = """mutation Stop($id: String!) { stopRunningSchedule(id: $id) {
  ... on ScheduleStateResult { scheduleState { status } } } }"""
_RUNS = """{ runsOrError(limit: 500) { ... on Runs { results {
  runId jobName status tags { key value } } } } }"""
_CHECKS = """query Checks($asset: AssetKeyInput!, $check: String!) {
  assetCheckExecutions(assetKey: $asset, checkName: $check, limit: 50) {
    runId status evaluation { success severity description metadataEntries {
      label ... on FloatMetadataEntry { floatValue } ... on IntMetadataEntry { intValue }
      ... on MarkdownMetadataEntry { mdStr } } } } }"""


@dataclass(frozen=True)
class Run:
    """A run as Dagster lists it."""

    job: str
    status: str
    partition: str
    reason: str


@dataclass
class Installation:
    """A running platform in its folder."""

    home: Path
    process: subprocess.Popen[str]
    endpoints: Endpoints

    def connect(self) -> Connection:
        return connect(self.endpoints.database_url)

    def kill_daemon(self) -> None:
        """SIGKILL, which ends the stack; nothing of it runs afterwards."""
        os.kill(pid_of(self.home, "sensors.daemon"), signal.SIGKILL)
        self.process.communicate(timeout=90)
        assert eventually(lambda: not using(self.home), 60.0), using(self.home)

    def graphql(self, query: str, **variables: object) -> Any:
        request = urllib.request.Request(
            f"{self.endpoints.dagster_url}/graphql",
            data=json.dumps({"query": query, "variables": variables}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            found = json.load(answer)
        assert "errors" not in found, found["errors"]
        return found["data"]

    def launch(self, job: str, config: object) -> None:
        """Launch a job as its page in Dagster does."""
        self._launch({"selector": {**_SELECTOR, "jobName": job}, "runConfigData": config})

    def check_now(self, job: str, partition: str, checks: Sequence[AssetCheckKey]) -> str:
        """Launch these checks of one partition; returns the run."""
        chosen = [{"assetKey": {"path": key.asset_key.path}, "name": key.name} for key in checks]
        return self._launch(
            {
                "selector": {
                    **_SELECTOR, "jobName": job, "assetSelection": [],
                    "assetCheckSelection": chosen,
                },
                "executionMetadata": {"tags": [{"key": "dagster/partition", "value": partition}]},
            }
        )  # fmt: skip

    def _launch(self, given: object) -> str:
        answer = self.graphql(_LAUNCH, given=given)["launchRun"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        run_id: str = answer["run"]["runId"]
        return run_id

    def last_tick(self, sensor: str) -> float:
        """When the sensor last ended a look."""
        ticks = self._sensor(sensor)["sensorState"]["ticks"]
        return max((tick["endTimestamp"] or 0.0 for tick in ticks), default=0.0)

    def after_looks(self, sensor: str, looks: int) -> None:
        """Return when the sensor has looked so many times more."""
        for _look in range(looks):
            before = self.last_tick(sensor)
            assert eventually(lambda last=before: self.last_tick(sensor) > last, 60.0)

    def stop_hourly_runs(self) -> None:
        """At minute 17 they would do what a test waits for something else to do."""
        given = {**_SELECTOR, "scheduleName": "reconcile_schedule"}
        schedule = self.graphql(_SCHEDULE, given=given)["scheduleOrError"]
        answer = self.graphql(_STOP_SCHEDULE, id=schedule["id"])["stopRunningSchedule"]
        assert answer["scheduleState"]["status"] == "STOPPED", answer

    def stop_sensor(self, name: str, witness: str) -> None:
        """Stop it, and return when it does not look any more: the daemon has gone round twice, as
        the looks of `witness` show, and no look of it is under way."""
        self.graphql(_STOP, id=self._sensor(name)["id"])
        self.after_looks(witness, 2)
        assert eventually(lambda: self._is_quiet(name), 120.0)

    def _is_quiet(self, sensor: str) -> bool:
        found = self._sensor(sensor)
        if found["sensorState"]["status"] != "STOPPED":
            # a look that was under way writes the state it began with over ours
            self.graphql(_STOP, id=found["id"])
            return False
        is_looking = any(tick["status"] == "STARTED" for tick in found["sensorState"]["ticks"])
        return not is_looking and time.time() - self.last_tick(sensor) > 4.0

    def start_sensor(self, name: str) -> None:
        self.graphql(_START, given={**_SELECTOR, "sensorName": name})

    def _sensor(self, name: str) -> dict[str, Any]:
        given = {**_SELECTOR, "sensorName": name}
        found: dict[str, Any] = self.graphql(_SENSOR, given=given)["sensorOrError"]
        return found

    def runs(self) -> list[Run]:
        """All runs, newest first."""
        found = []
        for row in self.graphql(_RUNS)["runsOrError"]["results"]:
            tags = {tag["key"]: tag["value"] for tag in row["tags"]}
            partition, reason = tags.get("dagster/partition", ""), tags.get("rag/reason", "")
            found.append(Run(row["jobName"], row["status"], partition, reason))
        return found

    def check(self, asset: str, name: str, run: str | None = None) -> list[dict[str, Any]]:
        """Evaluations of a check, of one run or in all partitions, newest first, with numbers by
        label."""
        rows = self.graphql(_CHECKS, asset={"path": [asset]}, check=name)["assetCheckExecutions"]
        evaluations = [
            row["evaluation"] for row in rows if row["evaluation"] and run in (None, row["runId"])
        ]
        return [{**row, "metadata": _metadata(row["metadataEntries"])} for row in evaluations]

    def search(self, name: CollectionName, query: str, k: int = 4) -> dict[str, Any]:
        """POST /query."""
        request = urllib.request.Request(
            f"{self.endpoints.api_url}/query",
            data=json.dumps({"query": query, "collection": str(name), "k": k}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            found: dict[str, Any] = json.load(answer)
        return found


def _metadata(entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        entry.pop("label"): next(iter(entry.values()), None)
        for entry in ({**each} for each in entries)
    }


@contextmanager
def installation(
    home: Path, settings: Mapping[str, str], *, with_service: bool = True
) -> Iterator[Installation]:
    """The platform under these settings, ready; nothing of it is left afterwards."""
    environment = {
        **module_environment(),
        "RAG_HOME": str(home),
        "RAG_DAGSTER_PORT": "0",
        "RAG_API_PORT": "0",
        **settings,
    }
    command = [sys.executable, "-c", _UP, *(["service"] if with_service else [])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), url
        endpoints = running_endpoints(home)
        assert endpoints is not None
        platform = Installation(home, process, endpoints)
        platform.stop_hourly_runs()
        yield platform
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=90)
        assert eventually(lambda: not using(home), 60.0), using(home)


def collect(conn: Connection, name: CollectionName, folder: Path) -> Collection:
    """A collection over a folder."""
    made = collections.create_collection(conn, name)
    collections.add_source(conn, made, f"{uri_of(folder)}/")
    return made


def served(conn: Connection, collection: Collection) -> int:
    """How many documents of the collection are searchable in their newest version."""
    return standing.documents_by_state(conn, collection.id).get("live", 0)
