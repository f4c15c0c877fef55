"""Histories of a source and its index: every change and fault a run may meet, and an oracle."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rag.errors import NotFoundError, TransientError
from rag.fingerprint import fingerprint
from rag.ingest import embed, parse, workshop
from rag.ingest.spool import Spool
from rag.store import collections, ledger, retention
from rag.store.database import Connection
from rag_assets_tests.faults import points
from rag_assets_tests.faults.points import DEATHS, PAUSES, PausedRun
from rag_assets_tests.ingest.harness import Harness
from rag_assets_tests.world import assert_world_is_sound, held_for, served, spooled

NAME = "acme/docs"
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


class World(RuleBasedStateMachine):
    """A source, runs of it, and every fault a run may meet; `conn` and `database_url` are set by
    whoever explores."""

    conn: Connection
    database_url: str

    @initialize()
    def start(self) -> None:
        self.conn.execute(
            f"truncate {TABLES}, search_row, posting restart identity cascade".encode()
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
        self.written: dict[tuple[str, str], list[int]] = {}
        self.oldest_allowed: dict[str, int] = {}
        self.erased: set[str] = set()
        self.forgotten: set[bytes] = set()
        self.steady: set[str] = set()
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
            self.steady.discard(self.source.uri + name)

    @rule(old=NAMES, new=NAMES)
    def rename(self, old: str, new: str) -> None:
        if old in self.source.objects and old != new:
            self.source.rename(old, new)
            self.steady.discard(self.source.uri + old)
            self._note(new)

    def _note(self, name: str) -> None:
        """Remember when which text was written under which name."""
        data, etag, _ = self.source.objects[name]
        self.written.setdefault((self.source.uri + name, data.decode()), []).append(
            int(etag.removeprefix("etag-"))
        )

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

    # what must hold

    @invariant()
    def is_sound(self) -> None:
        if not getattr(self, "is_index_touched", False):
            return
        self.is_going_well = self.is_index_touched = False
        assert_world_is_sound(self.conn)
        self._check_steady()
        self._check_newest_wins()
        self._check_forgotten()
        self.is_going_well = True

    def _check_steady(self) -> None:
        """What was served, and is in the source all the time, stays served."""
        found = served(self.conn, NAME).keys()
        # one whose newest version failed is lost when a new configuration goes live
        lost = self.steady - self._excused() - found
        assert not lost, f"{lost} left search, though they are there"
        self.steady = found & self._wanted().keys()

    def _check_newest_wins(self) -> None:
        """What a name serves never goes back to what was written under it before."""
        for uri, text in served(self.conn, NAME).items():
            assert uri not in self.erased, f"{uri} was erased and is back"
            at_least = self.oldest_allowed.get(uri, 0)
            ticks = [tick for tick in self.written.get((uri, text), []) if tick >= at_least]
            assert ticks, f"{uri} serves a text that is older than what it served before"
            self.oldest_allowed[uri] = min(ticks)

    def _check_forgotten(self) -> None:
        """No trace of erased text, unless a document has the same text."""
        hashes = list(self.forgotten)
        self.forgotten -= self._contents(
            "select content_hash from document_version where content_hash = any(%s)", hashes
        )
        assert not self.forgotten & self._contents(
            "select content_hash from parsed where content_hash = any(%s)", hashes
        ), "erased text is in the store"
        rows = self.conn.execute(
            "select from embedding where not exists ("
            " select from chunk where chunk.embedded_hash = embedding.embedded_hash)"
        ).fetchall()
        assert rows == [] or not self.erased, "vectors of erased text are in the store"

    def _contents(self, sql: str, parameter: object) -> set[bytes]:
        rows = self.conn.execute(sql.encode(), [parameter])
        return {bytes(row["content_hash"]) for row in rows}

    def _check_caught_up(self) -> None:
        """After a run nobody disturbed the index is what the source holds, less what has a named
        reason to wait: a letter, another worker's claim, the breaker."""
        found, wanted, excused = served(self.conn, NAME), self._wanted(), self._excused()
        if self._is_building():
            excused |= wanted.keys()  # what is new is served when the new configuration is
        for uri, text in wanted.items():
            if uri not in excused and not text.startswith("BROKEN"):
                assert found.get(uri) == text, uri
        (row,) = self.conn.execute("select breaker_since is null as is_open from source").fetchall()
        assert not row["is_open"] or found.keys() <= wanted.keys() | excused

    def _excused(self) -> set[str]:
        waiting = self.conn.execute(
            "select document.uri from document where exists (select from dead_letter as l"
            "  where l.document_id = document.id and l.resolved_at is null)"
            " or exists (select from lease where lease.version_id = document.version_id"
            "  and lease.owner is not null)"
        )
        return {row["uri"] for row in waiting}

    def _is_building(self) -> bool:
        rows = self.conn.execute("select from generation where state = 'building'").fetchall()
        return bool(rows)

    def _wanted(self) -> dict[str, str]:
        texts = {
            self.source.uri + name: data.decode()
            for name, (data, _, _) in self.source.objects.items()
        }
        return {uri: text for uri, text in texts.items() if uri not in self.erased}

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
