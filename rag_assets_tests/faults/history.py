"""Histories of a source and its index: every change and fault a run may meet."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from rag.errors import NotFoundError, TransientError
from rag.fingerprint import fingerprint
from rag.ingest import embed, parse, workshop
from rag.ingest.spool import Spool
from rag.store import collections, ledger, retention
from rag.store.database import Connection
from rag.store.hints import add_hints, hinted_shards
from rag_assets_tests.faults import points
from rag_assets_tests.faults.oracle import NAME, Oracle
from rag_assets_tests.faults.points import DEATHS, PAUSES, PausedRun
from rag_assets_tests.ingest.harness import Harness
from rag_assets_tests.world import held_for, served, spooled

NAMES = st.sampled_from([f"{letter}.txt" for letter in "abcdef"])
PARAGRAPH = st.sampled_from([
    f"station {n} measures the wind with instrument {n * 37} on the ridge above valley number {n}"
    for n in range(6)
])  # fmt: skip
WHOLE = st.lists(PARAGRAPH, min_size=1, max_size=4).map("\n\n".join)
TEXTS = st.one_of(WHOLE, WHOLE, WHOLE, st.just("BROKEN file"))
TABLES = "namespace, collection, source, document, fingerprint, embedding, erasure, generation"
FLOOR = 1
_CONTENT_NAME = 64  # characters of a content's hash
TWO_TEXTS = st.lists(TEXTS, min_size=2, max_size=2, unique=True)


class World(Oracle):
    """A source, runs of it, and every fault a run may meet; `conn` and `database_url` are set by
    whoever explores."""

    database_url: str

    @initialize()
    def start(self) -> None:
        self.conn.execute(
            f"truncate {TABLES}, chunk, search_row, posting restart identity cascade".encode()
        )
        self.folder = Path(tempfile.mkdtemp(prefix="rag-history-"))
        self.patch = pytest.MonkeyPatch()
        # what costs time and decides nothing here: leases lapse when a rule says so
        self.patch.setattr(collections, "ensure_fingerprint", _registered_once())
        self.patch.setattr(parse, "_heartbeat", lambda shop, owner: nullcontext())
        for module in (workshop, embed):
            self.patch.setattr(module, "refresh_statistics", lambda conn: None)
        self.harness = Harness(self.conn, self.database_url, self.folder)
        self.harness.settings = {"deletion_floor": FLOOR, "deletion_share": 0.0}
        self.collection = collections.find_collection(self.conn, self.harness.name)
        self.source = self.harness.source
        self.paused: PausedRun | None = None
        self.written, self.oldest_allowed = {}, {}
        self.erased, self.forgotten, self.steady = set(), set(), set()
        self.said: list[str] = []  # notifications that nobody heard yet
        self.heard = set()
        self.is_going_well = True
        self.is_index_touched = False

    def teardown(self) -> None:
        if not hasattr(self, "folder"):
            return
        try:
            if self.is_going_well:
                self.settle()
        finally:
            if self.paused is not None:
                self.paused.may_go.set()
                self.paused.thread.join(60)
            self.patch.undo()
            shutil.rmtree(self.folder)

    # what people do to the source

    @rule(
        names=st.lists(NAMES, min_size=2, max_size=6), texts=st.lists(TEXTS, min_size=6, max_size=6)
    )
    def put_several(self, names: list[str], texts: list[str]) -> None:
        for name, text in zip(names, texts, strict=False):
            self.put(name, text)

    @rule(name=NAMES, text=TEXTS)
    def put(self, name: str, text: str) -> None:
        self.source.put(name, text.encode())
        self._note(name)

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        if name in self.source.objects:
            self.source.delete(name)
            self._changed(name)
            self.steady.discard(self.source.uri + name)

    @rule(old=NAMES, new=NAMES)
    def rename(self, old: str, new: str) -> None:
        if old in self.source.objects and old != new:
            self.source.rename(old, new)
            self._changed(old)
            self.steady.discard(self.source.uri + old)
            self._note(new)

    def _note(self, name: str) -> None:
        """Remember when which text was written under which name."""
        data, etag, _ = self.source.objects[name]
        self.written.setdefault((self.source.uri + name, data.decode()), []).append(
            int(etag.removeprefix("etag-"))
        )
        self._changed(name)

    def _changed(self, name: str) -> None:
        self.said.append(self.source.uri + name)
        self.heard.discard(self.source.uri + name)

    # what is heard of it

    @rule(picks=st.lists(st.integers(0, 9), min_size=1, max_size=8), are_settled=st.booleans())
    def hear(self, picks: list[int], are_settled: bool = True) -> None:
        """Notifications come late, in any order, some twice; those that were not acknowledged
        come again."""
        come = [self.said[n] for n in picks if n < len(self.said)]
        if come:
            self.is_index_touched = True
            add_hints(self.conn, come)
            self.heard |= set(come) - self.erased
            self.said = [uri for uri in self.said if not (are_settled and uri in come)]

    @rule()
    def lose_notifications(self) -> None:
        self.said.clear()

    @rule()
    def run_if_told(self) -> None:
        if hinted_shards(self.conn):
            self.run()
            assert hinted_shards(self.conn) == [], "a hint outlives a look at the source"

    # runs that end

    @rule()
    def run(self) -> None:
        """A run, or a duplicate of one: nothing says that anything changed."""
        self.is_index_touched = True
        self.harness.run()
        if self.paused is None:
            self._check_caught_up()

    @rule()
    def wipe(self) -> None:
        """Everything vanishes at once: the breaker must hold if that is much."""
        self.run()
        before = served(self.conn, NAME)
        kept, self.source.objects = self.source.objects, {}
        self.harness.run()
        if len(before) > FLOOR:
            assert served(self.conn, NAME).keys() == before.keys(), "the breaker did not hold"
            self.source.objects = kept
        else:
            self.steady.clear()

    @rule(hidden=st.sets(NAMES, min_size=1))
    def run_on_part_of_a_listing(self, hidden: set[str]) -> None:
        """A listing that ends early hides objects; nothing may go."""
        self.run()
        before = served(self.conn, NAME)
        whole = dict(self.source.objects)
        for name in hidden:
            self.source.objects.pop(name, None)
        self.source.is_complete = False
        self.harness.run()
        self.source.is_complete = True
        self.source.objects = whole
        assert served(self.conn, NAME).keys() >= before.keys(), "part of a listing deleted"

    # runs that do not end well

    @rule(point=st.sampled_from(sorted(DEATHS)), nth=st.integers(1, 2))
    def run_and_die(self, point: str, nth: int = 1) -> None:
        """The worker is killed at a point."""
        self.is_index_touched = True
        points.run_and_die(self.harness, DEATHS[point], nth)

    @rule(point=st.sampled_from(sorted(DEATHS)), name=NAMES, texts=TWO_TEXTS)
    def die_with(self, point: str, name: str, texts: list[str]) -> None:
        """The worker is killed with the new version of a served document in hand."""
        self.put(name, texts[0])
        self.run()
        self.is_sound()
        self.put(name, texts[1])
        self.run_and_die(point)

    @rule(point=st.sampled_from(sorted(DEATHS)))
    def run_and_lose_server(self, point: str) -> None:
        """The server goes away under the worker."""
        self.is_index_touched = True
        points.run_and_lose_server(self.harness, DEATHS[point])

    @rule(point=st.sampled_from(sorted(PAUSES)))
    def begin_run(self, point: str) -> None:
        """A second worker stops at a point, and goes on later with what it knew."""
        if self.paused is None:
            self.is_index_touched = True
            self.paused = PausedRun(self.harness, PAUSES[point])

    @rule()
    def finish_run(self) -> None:
        if self.paused is not None:
            self.is_index_touched = True
            paused, self.paused = self.paused, None
            paused.finish()

    @rule(
        point=st.sampled_from(sorted(PAUSES)),
        name=NAMES,
        texts=TWO_TEXTS,
    )
    def overtake(self, point: str, name: str, texts: list[str]) -> None:
        """A worker has a document in hand, which changes and is brought up to date meanwhile."""
        self.finish_run()
        self.put(name, texts[0])
        self.begin_run(point)
        self.put(name, texts[1])
        self.run()
        self.is_sound()
        self.finish_run()

    @rule(name=NAMES, is_failing=st.booleans())
    def fetch_fails(self, name: str, is_failing: bool = True) -> None:
        """The store does not give this object, or gives it again."""
        self.source.errors.pop(name, None)
        if is_failing:
            self.source.errors[name] = TransientError("The store stalls.", code="s3_unreachable")

    # time, configuration, operators

    @rule()
    def let_time_pass(self) -> None:
        """Leases lapse, retries are due, and what was fetched is swept."""
        self.conn.execute("update lease set beat_at = now() - interval '1 hour'")
        self.conn.execute("update dead_letter set next_retry_at = now() where kind = 'transient'")
        self.lose_spool()

    def lose_spool(self) -> None:
        """What was fetched is not there any more, but for what a worker has in hand."""
        for path in spooled(self.folder / "spool"):
            if len(path.name.rpartition("-")[2]) == _CONTENT_NAME:
                path.unlink()

    @rule(stage=st.sampled_from(["parser", "embedder"]))
    def change_configuration(self, stage: str) -> None:
        port = getattr(self.harness, stage)
        port.config = {**port.config, "revision": int(port.config.get("revision", 0)) + 1}

    @rule(name=NAMES)
    def erase(self, name: str) -> None:
        """Forgotten on request: at once, and for good."""
        self.is_index_touched = True
        uri = self.source.uri + name
        hashes = self._contents(
            "select content_hash from document_version as v join document as d on d.id ="
            " document_id where d.uri = %s and not exists (select from document_version as other"
            " where other.content_hash = v.content_hash and other.document_id <> d.id)", uri
        )  # fmt: skip
        try:
            spool = Spool(self.folder / "spool")
            receipt = retention.erase(self.conn, self.collection, uri, spool.discard)
        except NotFoundError:
            return
        assert set(receipt["left"].values()) == {0}  # type: ignore[attr-defined]
        self.erased.add(uri)
        self.steady.discard(uri)
        self.forgotten |= hashes

    @rule()
    def sweep(self) -> None:
        self.is_index_touched = True
        retention.sweep(self.conn, 0.0)

    # the end

    def settle(self) -> None:
        """When the faults end, two runs bring the index to exactly what the source holds."""
        self.finish_run()
        self.source.errors.clear()
        self.let_time_pass()
        ledger.retry(self.conn, self.collection.id)
        self.harness.run()
        held_for(self.conn, "1 hour")
        self.harness.run()
        self.is_index_touched = True
        self.is_sound()
        assert not self._is_building("id < (select live_generation_id from collection)"), (
            "a generation that another one overtook is kept"
        )
        assert self._is_live(self.harness), "the configuration in force never came to serve"
        retention.sweep(self.conn, 0.0)
        assert not self._is_building(), "an abandoned generation is kept for ever"
        found, wanted = served(self.conn, NAME), self._wanted()
        assert found.keys() <= wanted.keys()
        for uri, text in wanted.items():
            if text.startswith("BROKEN"):
                assert found.get(uri) != text
            else:
                assert found.get(uri) == text, uri
        assert self.harness.run()["search_index"]["documents"] == 0, "a repeat is not free"


def _registered_once() -> object:
    """The same ids without an upsert for every stage of every run."""
    original = collections.ensure_fingerprint
    known: dict[str, int] = {}

    def ensure(conn: Connection, kind: str, config: dict[str, object]) -> int:
        name = fingerprint(kind, config)
        if name not in known:
            known[name] = original(conn, kind, config)
        return known[name]

    return ensure
