"""A living index under the real daemon: what goes stale is run, what drifts is told, a new model is
built, judged and swapped while people search. One platform for all of it."""

from __future__ import annotations

import itertools
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from rag.generations import promotion
from rag.model import CollectionName
from rag.settings import Settings
from rag.store import collections, generations
from rag.store.collections import Collection
from rag.store.database import Connection
from rag_assets.jobs import DRIFT
from rag_assets_tests.acceptance.documents import baking, weather, write
from rag_assets_tests.acceptance.installation import Installation, collect, installation, served
from rag_assets_tests.alerts.receivers import HttpReceiver, http_receiver
from rag_assets_tests.embed.models import write_model
from rag_assets_tests.faults.profile import NIGHTLY
from rag_assets_tests.stack.processes import eventually

pytestmark = pytest.mark.slow

STALE, TOPICS, MODELS = (CollectionName("acme", name) for name in ("stale", "topics", "models"))
SIZES = {STALE: 3, TOPICS: 40, MODELS: 30}
DRIFTED = 30  # documents on the new topic
SEARCHES = 10_000 if NIGHTLY else 300
PAUSE_S = 0.0 if NIGHTLY else 0.1  # between two searches of one person
STEP_S = 180.0  # longest wait for one step, on a machine that does other things
SETTINGS = {
    "RAG_API_REQUESTS_PER_MINUTE": "0",
    "RAG_SENSOR_INTERVAL_S": "1",
    "RAG_WATCH_INTERVAL_S": "2",
    "RAG_DRIFT_MIN_SAMPLE": "25",
    "RAG_GATE_MIN_QUESTIONS": "20",
    "RAG_SYNTHETIC_QUESTIONS": "25",
}


class World(NamedTuple):
    platform: Installation
    conn: Connection
    web: HttpReceiver
    files: Path

    def folder(self, name: CollectionName) -> Path:
        return self.files / name.collection

    def collection(self, name: CollectionName) -> Collection:
        return collections.find_collection(self.conn, name)

    def events(self, name: CollectionName, kind: str) -> list[str]:
        """What the webhook was told of incidents of that kind in the collection."""
        return [
            body["event"]
            for _path, body, _id in self.web.came
            if (body["collection"], body["kind"]) == (str(name), kind)
        ]

    def requested(self, name: CollectionName, reason: str) -> list[str]:
        """Reasons of the collection's runs that were requested for such a one."""
        return [
            run.reason
            for run in self.platform.runs()
            if run.partition == str(name) and run.reason.startswith(reason)
        ]

    def busy(self, name: CollectionName) -> bool:
        """Whether a run of the collection is under way."""
        ended = ("SUCCESS", "FAILURE", "CANCELED")
        return any(
            run.partition == str(name) and run.status not in ended for run in self.platform.runs()
        )


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """The platform, with its collections searchable and a webhook that takes its alerts."""
    with tempfile.TemporaryDirectory(prefix="rag-test-") as made, http_receiver() as web:
        home, files = Path(made) / "home", Path(made) / "files"
        for name, size in SIZES.items():
            write(files / name.collection, [weather(n) for n in range(size)], "report")
        routes = {"hook": {"channel": "webhook", "url": web.url}}
        given = {**SETTINGS, "RAG_ALERT_ROUTES": json.dumps(routes)}
        with installation(home, given) as platform, platform.connect() as conn:
            made_of = {name: collect(conn, name, files / name.collection) for name in SIZES}
            generations.set_gate(conn, made_of[MODELS].id, True)
            for name, size in SIZES.items():
                wait(lambda name=name, size=size: served(conn, made_of[name]) == size)
            yield World(platform, conn, web, files)


def wait(claim: Callable[[], bool], timeout_s: float = STEP_S) -> None:
    assert eventually(claim, timeout_s)


def test_a_stale_corpus_is_told_once_run_and_recovers(world: World) -> None:
    stale = world.collection(STALE)
    now = datetime.now(UTC).timestamp()
    # a day in which nobody looked: the source was changed ten hours ago
    with stopped_sensor(world):
        wait(lambda: not world.busy(STALE))
        before = ingests(world, STALE)
        changed = world.folder(STALE) / "report-0.md"
        changed.write_text("# Changed\n\nThe funicular opens at noon on Sundays.\n")
        os.utime(changed, (now - 36_000, now - 36_000))
        world.conn.execute(
            "update source set listed_at = now() - interval '10 hours',"
            " created_at = now() - interval '20 hours' where collection_id = %s",
            [stale.id],
        )
        wait(lambda: world.events(STALE, "freshness") == ["opened", "recovered"])
        # and nothing else brought it up to date
        reasons = ingests(world, STALE)[: -len(before)]
        assert [reason.split(" (")[0] for reason in reasons] == [
            "check freshness failed: A source was last seen whole 10 h ago"
        ]
    assert {name for name in SIZES if world.requested(name, "check freshness")} == {STALE}
    assert world.events(TOPICS, "freshness") == world.events(MODELS, "freshness") == []
    found = world.platform.search(STALE, "when does the funicular open")
    assert found["hits"][0]["document"] == "report-0.md"
    evaluations = world.platform.check("search_index", "freshness")
    failed = [each for each in evaluations if not each["success"]]
    assert [each["severity"] for each in failed] == ["ERROR"]
    assert failed[0]["metadata"]["unseen_s"] >= 36_000
    after_three_looks(world)
    assert world.events(STALE, "freshness") == ["opened", "recovered"]
    assert len(world.requested(STALE, "check freshness failed")) == 1


def ingests(world: World, name: CollectionName) -> list[str]:
    """Reasons of the runs that could have brought the collection up to date, newest first, but for
    the hourly one."""
    return [
        run.reason
        for run in world.platform.runs()
        if run.partition == str(name) and run.job == "ingest"
        and not run.reason.startswith("hourly")
    ]  # fmt: skip


def look_for_drift(world: World) -> dict[str, dict[str, Any]]:
    """Launch the checks of drift, as the schedule does; returns what each says."""
    run = world.platform.check_now("inspection", str(TOPICS), DRIFT)

    def said() -> dict[str, dict[str, Any]]:
        evaluations = {
            key.name: world.platform.check(key.asset_key.to_user_string(), key.name, run)
            for key in DRIFT
        }
        return {name: found[0] for name, found in evaluations.items() if found}

    wait(lambda: len(said()) == len(DRIFT))
    return said()


def test_a_new_topic_fails_the_drift_check_with_numbers_and_is_run_once(world: World) -> None:
    topics = world.collection(TOPICS)
    look_for_drift(world)  # takes the reference
    write(world.folder(TOPICS), [baking(number) for number in range(DRIFTED)], "recipe")
    wait(lambda: served(world.conn, topics) == SIZES[TOPICS] + DRIFTED)
    found = look_for_drift(world)
    assert not found["topic_drift"]["success"]
    numbers = found["topic_drift"]["metadata"]
    assert (numbers["reference"], numbers["recent"]) == (SIZES[TOPICS], DRIFTED)
    assert numbers["far_share_rise"] >= 0.3  # the limit of an ERROR
    assert numbers["far_share_rise_p"] < 0.01
    assert "| far_share_rise |" in numbers["tests"]
    assert numbers["plot"].startswith("![plot](data:image/svg+xml;base64,")
    assert not found["embedding_drift"]["success"]
    assert found["embedding_drift"]["metadata"]["domain_auc"] >= 0.85

    wait(lambda: len(world.requested(TOPICS, "check")) > 0)
    wait(lambda: not world.busy(TOPICS))
    assert not look_for_drift(world)["topic_drift"]["success"]  # the cause persists
    after_three_looks(world)
    requests = world.conn.execute(
        "select incident.key, count(*) as times from reindex_request"
        " join incident on reindex_request.cause = 'incident:' || incident.id"
        " where collection_id = %s group by 1",
        [topics.id],
    ).fetchall()
    assert requests
    assert all("drift" in row["key"] and row["times"] == 1 for row in requests)
    assert set(world.events(TOPICS, "drift")) == {"opened"}
    told = [body["key"] for _path, body, _id in world.web.came if body["kind"] == "drift"]
    assert len(told) == len(set(told))  # each check once


@dataclass
class Asker:
    """Asks the HTTP service over and over; keeps what went wrong."""

    platform: Installation
    stop: threading.Event = field(default_factory=threading.Event)
    asked: int = 0
    wrong: list[str] = field(default_factory=list)
    generations: set[int] = field(default_factory=set)
    slowest_s: float = 0.0

    def run(self) -> None:
        for number in itertools.cycle(range(SIZES[MODELS])):
            if self.stop.is_set():
                return
            started = time.monotonic()
            try:
                self.judge(number, self.platform.search(MODELS, f"Station report W{number}", 10))
            except Exception as error:  # whatever it is, a person would have seen it
                self.wrong.append(repr(error))
            self.slowest_s = max(self.slowest_s, time.monotonic() - started)
            self.asked += 1
            self.stop.wait(PAUSE_S)

    def judge(self, number: int, found: dict[str, Any]) -> None:
        self.generations.add(found["generation"])
        if not found["hits"]:
            self.wrong.append(f"nothing found for {number}")
        elif all(hit["document"] != f"report-{number}.md" for hit in found["hits"]):
            self.wrong.append(f"{number} not found in generation {found['generation']}")


@contextmanager
def asking(platform: Installation) -> Iterator[list[Asker]]:
    askers = [Asker(platform), Asker(platform)]
    threads = [threading.Thread(target=asker.run) for asker in askers]
    for thread in threads:
        thread.start()
    try:
        yield askers
    finally:
        for asker in askers:
            asker.stop.set()
        for thread in threads:
            thread.join(timeout=90)


def generation_rows(world: World) -> dict[int, dict[str, Any]]:
    rows = generations.all_of(world.conn, world.collection(MODELS).id)
    return {row["id"]: row for row in rows}


def build(world: World, recipe: dict[str, str]) -> int:
    """Build from Dagster, then touch the source: the next run judges what was built."""
    before = set(generation_rows(world))
    config = {"collection": str(MODELS), "recipe": recipe}
    world.platform.launch("build_generation", {"ops": {"build_beside_live": {"config": config}}})

    def made() -> list[int]:
        return [
            number
            for number, row in generation_rows(world).items()
            if number not in before and row["recipe"]
        ]

    wait(lambda: bool(made()))
    (number,) = made()
    note = world.folder(MODELS) / f"note-{number}.md"
    note.write_text(f"# Note {number}\n\nGeneration {number} was built.\n", encoding="utf-8")
    wait(lambda: generations.last_decision(world.conn, number) is not None)
    return number


def test_models_are_swapped_under_search_only_when_the_gate_passes(world: World) -> None:
    def live() -> int | None:
        return world.collection(MODELS).live_generation_id

    first = live()
    assert first is not None
    with asking(world.platform) as askers:
        better = build(world, {"embedding_precision": "fp32"})
        wait(lambda: live() == better)

        bad_model = str(write_model(world.files.parent / "bad-model", window=64))
        recipe = {"embedding_model": bad_model, "chunk_size": "64", "chunk_overlap": "0"}
        worse = build(world, recipe)
        decision = generations.last_decision(world.conn, worse)
        assert decision is not None
        assert not decision["passed"], decision["report"]
        assert decision["report"]["worse"]  # the questions that lost
        wait(lambda: world.events(MODELS, "check") == ["opened"])
        assert (live(), generation_rows(world)[worse]["state"]) == (better, "building")

        seconds = swap_until_asked(world, askers, first, better)
    wrong = [line for asker in askers for line in asker.wrong]
    asked = sum(asker.asked for asker in askers)
    seen = {number for asker in askers for number in asker.generations}
    assert wrong == [], wrong[:5]
    assert asked >= SEARCHES
    assert seen == {first, better}
    assert max(seconds) < 1.0
    slowest = max(asker.slowest_s for asker in askers)
    print(f"\n{asked} searches over HTTP, {len(seconds)} roll-backs, the slowest "
          f"{max(seconds):.3f} s; slowest search {slowest:.2f} s")  # fmt: skip


def swap_until_asked(world: World, askers: list[Asker], first: int, second: int) -> list[float]:
    """Roll back and forth until people have asked enough; seconds of each roll-back, until a
    search over HTTP is answered by the other generation."""
    seconds: list[float] = []
    settings = Settings()
    for target in itertools.cycle((first, second)):
        started = time.monotonic()
        promotion.roll_back(world.conn, MODELS, settings, target)
        seconds.append(time.monotonic() - started)
        assert world.platform.search(MODELS, "Station report W1")["generation"] == target
        if sum(asker.asked for asker in askers) >= SEARCHES and len(seconds) >= 4:
            return seconds
        time.sleep(0.5)
    raise AssertionError("unreachable")


def after_three_looks(world: World) -> None:
    """Return when every sensor of the watch has looked three times more."""
    for name in ("freshness_sensor", "reindex_sensor", "alert_sensor"):
        world.platform.after_looks(name, 3)


@contextmanager
def stopped_sensor(world: World) -> Iterator[None]:
    """The sensor that finds changes is off, as on a day when nobody noticed."""
    world.platform.stop_sensor("object_store_sensor", witness="freshness_sensor")
    try:
        yield
    finally:
        world.platform.start_sensor("object_store_sensor")
