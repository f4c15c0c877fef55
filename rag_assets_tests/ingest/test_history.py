"""After any history the index equals the source: a state machine with a small oracle."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from rag.errors import RagError
from rag.ingest import reconcile
from rag.ingest.pipeline import STAGES
from rag.ingest.workshop import Workshop
from rag.store import queries
from rag.store.database import Connection, connect
from rag_assets_tests.ingest.harness import Harness
from rag_assets_tests.world import assert_world_is_sound, served

NAMES = st.sampled_from([f"{letter}.txt" for letter in "abcdefgh"])
PARAGRAPH = st.sampled_from([
    f"station {n} measures the wind with instrument {n * 37} on the ridge above valley number {n}"
    for n in range(6)
])  # fmt: skip
TEXTS = st.one_of(
    st.lists(PARAGRAPH, min_size=1, max_size=4).map("\n\n".join), st.just("BROKEN file")
)
TABLES = "namespace, collection, source, document, fingerprint, embedding, erasure, generation, search_row"


class Killed(BaseException):
    """The process dies here; nothing after this point of it happens."""


class World(RuleBasedStateMachine):
    """A source, runs of it, and every fault a run may meet."""

    conn: Connection
    database_url: str

    @initialize()
    def start(self) -> None:
        self.conn.execute(f"truncate {TABLES} restart identity cascade".encode())
        self.folder = Path(tempfile.mkdtemp(prefix="rag-history-"))
        self.harness = Harness(self.conn, self.database_url, self.folder)
        self.harness.settings = {"deletion_floor": 3, "deletion_share": 0.0}
        self.source = self.harness.source
        self.begun: Iterator[object] | None = None
        self.is_going_well = True

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            try:
                if self.is_going_well:
                    self.settle()
            finally:
                shutil.rmtree(self.folder)

    @rule(name=NAMES, text=TEXTS)
    def put(self, name: str, text: str) -> None:
        self.source.put(name, text.encode())

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        if name in self.source.objects:
            self.source.delete(name)

    @rule(old=NAMES, new=NAMES)
    def rename(self, old: str, new: str) -> None:
        if old in self.source.objects and old != new:
            self.source.rename(old, new)

    @rule()
    def wipe(self) -> None:
        """Everything vanishes at once: the breaker must hold if that is much."""
        before = served(self.conn, "acme/docs")
        kept, self.source.objects = self.source.objects, {}
        self.run()
        if len(before) > 3:
            assert served(self.conn, "acme/docs").keys() == before.keys()
            self.source.objects = kept

    @rule()
    def run(self) -> None:
        """A run, or a duplicate of one: nothing says that anything changed."""
        self.harness.run()

    @rule(hidden=st.sets(NAMES))
    def run_on_part_of_a_listing(self, hidden: set[str]) -> None:
        """A listing that ends early hides objects; nothing may go."""
        self.harness.run()
        before = served(self.conn, "acme/docs")
        whole = dict(self.source.objects)
        for name in hidden:
            self.source.objects.pop(name, None)
        self.source.is_complete = False
        self.harness.run()
        self.source.is_complete = True
        self.source.objects = whole
        assert served(self.conn, "acme/docs").keys() >= before.keys()

    @rule(at=st.integers(1, 60))
    def run_and_die(self, at: int) -> None:
        """The worker is killed before its n-th statement."""
        with dies_at(self.harness.conn, at), suppress_death():
            self.harness.run()

    @rule()
    def begin_run(self) -> None:
        """A second worker lists now and goes on later, with what it saw."""
        if self.begun is None:
            self.begun = stepwise(self.harness)
            next(self.begun)

    @rule()
    def finish_run(self) -> None:
        if self.begun is not None:
            for _ in self.begun:
                pass
            self.begun = None

    @rule()
    def let_leases_lapse(self) -> None:
        self.conn.execute("update lease set beat_at = now() - interval '1 hour'")

    @rule(stage=st.sampled_from(["parser", "embedder"]))
    def change_configuration(self, stage: str) -> None:
        port = getattr(self.harness, stage)
        port.config = {**port.config, "revision": int(port.config.get("revision", 0)) + 1}

    @invariant()
    def is_sound(self) -> None:
        if hasattr(self, "harness"):
            self.is_going_well = False
            assert_world_is_sound(self.conn)
            self.is_going_well = True

    def settle(self) -> None:
        """When the faults end, two runs bring the index to exactly what the source holds."""
        self.finish_run()
        self.let_leases_lapse()
        self.conn.execute("update dead_letter set next_retry_at = now() where kind = 'transient'")
        self.harness.run()
        self.conn.execute("update source set breaker_since = now() - interval '1 hour'"
                          " where breaker_since is not null")  # fmt: skip
        self.harness.run()
        assert_world_is_sound(self.conn)
        found = served(self.conn, "acme/docs")
        wanted = {
            self.source.uri + name: data.decode()
            for name, (data, _, _) in self.source.objects.items()
        }
        assert found.keys() <= wanted.keys()
        for uri, text in wanted.items():
            if text.startswith("BROKEN"):
                assert found.get(uri) != text
            else:
                assert found.get(uri) == text


def stepwise(harness: Harness) -> Iterator[object]:
    """A run that pauses after its listing and after each stage."""
    shop = harness.shop()
    frozen = harness.source.list()
    paused = PausedSource(harness.source, frozen)
    shop = Workshop(**{
        name: getattr(shop, name) for name in Workshop.__dataclass_fields__
    } | {"open_source": lambda uri: paused})  # fmt: skip
    clock = shop.conn.execute("select clock_timestamp() as now").fetchone()
    yield clock
    original = reconcile.manifest.clock
    reconcile.manifest.clock = lambda conn: clock["now"]  # type: ignore[index]
    try:
        yield STAGES["raw_documents"](shop, harness.shard)
    finally:
        reconcile.manifest.clock = original
    for name in list(STAGES)[1:]:
        yield STAGES[name](shop, harness.shard)


class PausedSource:
    """A source whose listing was taken some time ago."""

    def __init__(self, source: Any, listing: Any) -> None:
        self.source, self.listing, self.uri = source, listing, source.uri

    def list(self) -> Any:
        return self.listing

    def fetch(self, obj: Any, target: Path) -> None:
        self.source.fetch(obj, target)


@contextmanager
def dies_at(conn: Connection, at: int) -> Iterator[None]:
    """Every statement from the n-th on fails, as for a dead process; open transactions roll back."""
    count = 0
    execute = type(conn).execute

    def counted(self: Connection, *args: Any, **options: Any) -> Any:
        nonlocal count
        count += 1
        if count >= at and self is conn:
            raise Killed
        return execute(self, *args, **options)

    type(conn).execute = counted  # type: ignore[method-assign]
    try:
        yield
    finally:
        type(conn).execute = execute  # type: ignore[method-assign]


@contextmanager
def suppress_death() -> Iterator[None]:
    try:
        yield
    except (Killed, RagError):
        pass


def explore(database_url: str, *, examples: int, steps: int = 30, **more: Any) -> None:
    """Run the machine on a database of its own."""
    with connect(database_url) as conn:
        machine = type("World", (World,), {"conn": conn, "database_url": database_url})
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.generate],
                database=None,
                print_blob=True,
                **more,
            ),
        )


@pytest.mark.slow
def test_the_index_equals_the_source_after_any_history(database_url: str) -> None:
    explore(database_url, examples=60)


# the rules that carry the guarantees; without any one of them the machine must find a bad history
MUTANTS = {
    "no compare of looks (an older listing overrules a newer look)": (
        "manifest", "diff",
        lambda sql: sql.replace(
            "greatest(document.looked_at, document.deleted_at) <= %(listed_at)s and", ""
        ).replace("and document.looked_at <= %(listed_at)s", ""),
    ),
    "half a publication (rows without their publication when a worker dies)": (
        "index", "publish_rows", lambda sql: sql.replace("join chunk on", "join chunk on chunk.ordinal < 1 and"),
    ),
    "deletion leaves the rows in search": (
        "manifest", "delete_documents",
        lambda sql: sql.replace("delete from publication where", "delete from publication where false and"),
    ),
    "content without its namespace": (
        "content", "mark_embedded", lambda sql: sql.replace("and chunk_set.chunk_count =", "or chunk_set.chunk_count ="),
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS)
def test_each_broken_rule_is_found(
    database_url: str, mutant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    group, name, change = MUTANTS[mutant]
    original = queries.statements(group)
    changed = change(original[name])
    assert changed != original[name]
    monkeypatch.setitem(original, name, changed)
    with pytest.raises(BaseException):  # noqa: B017 - whatever way the history went wrong
        explore(database_url, examples=300, derandomize=True)


def trusting_any_listing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every listing counts as complete."""
    make = reconcile.make_plan
    from dataclasses import replace

    monkeypatch.setattr(
        reconcile, "make_plan",
        lambda differences, listing: make(differences, replace(listing, is_complete=True)),
    )  # fmt: skip


def without_breaker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any number of documents may vanish at once."""
    monkeypatch.setattr(reconcile, "deletion_threshold", lambda documents, settings: 10**9)


@pytest.mark.slow
@pytest.mark.parametrize("break_it", [trusting_any_listing, without_breaker])
def test_each_missing_safeguard_is_found(
    database_url: str,
    break_it: Callable[[pytest.MonkeyPatch], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    break_it(monkeypatch)
    with pytest.raises(BaseException):  # noqa: B017
        explore(database_url, examples=300, derandomize=True)
