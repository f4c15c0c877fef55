"""Named points of a run: after a statement by its name, or after a source's list or fetch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psycopg

from rag.errors import RagError, UnavailableError
from rag.model import Listing, SourceObject
from rag.store.database import connect
from rag.store.queries import statements
from rag_assets_tests.ingest.harness import Harness

GROUPS = ("manifest", "content", "index", "ledger")

# where a worker may die or lose its server
DEATHS = {
    "after list": "source.list",
    "after fetch": "source.fetch",
    "while registering": "manifest.insert_versions",
    "while renaming": "manifest.rename_documents",
    "while deleting": "manifest.delete_documents",
    "after register": "content.unparsed_ids",
    "after claim": "ledger.claim",
    "while keeping parsed text": "ledger.complete",
    "after parse kept": "content.resolve_parsed",
    "between chunk sets and chunks": "content.insert_chunk_sets",
    "after chunks": "content.sets_to_embed",
    "before vectors": "content.lacking_embeddings",
    "after vectors": "content.mark_embedded",
    "inside publish, rows gone": "index.unpublish",
    "inside publish, rows new": "index.publish_rows",
    "inside publish, before commit": "index.publish_documents",
    "after publish": "index.documents_behind",
    "while promoting": "index.retire_live",
}
# where a worker may stand still while others go on: it holds no lock there
PAUSES = {
    "before list": "manifest.clock",
    "after list": "source.list",
    "after fetch": "source.fetch",
    "before parse": "content.unparsed_ids",
    "after claim": "ledger.claim",
    "before chunks": "content.uncut",
    "before embedding": "content.sets_to_embed",
    "before vectors": "content.texts_to_embed",
    "before publish": "index.to_publish",
}

Act = Callable[[str], None]


class Killed(BaseException):
    """The process dies here; nothing after this point of it happens."""


@contextmanager
def worker(harness: Harness, act: Act) -> Iterator[Harness]:
    """The harness with a connection of its own, that calls `act(point)` after each point."""
    names = {sql: f"{group}.{name}" for group in GROUPS for name, sql in statements(group).items()}
    with connect(harness.database_url) as conn:
        execute = conn.execute

        def watched(query: Any, *more: Any, **options: Any) -> Any:
            result = execute(query, *more, **options)
            act(names.get(query, "") if isinstance(query, str) else "")
            return result

        conn.execute = watched  # type: ignore[method-assign]
        own = copy.copy(harness)
        own.conn = conn
        # a process keeps the configuration it was started with
        own.parser, own.embedder = copy.copy(harness.parser), copy.copy(harness.embedder)
        own.source = WatchedSource(harness.source, act)  # type: ignore[assignment]
        yield own
        harness.runs = own.runs


class WatchedSource:
    """A source that tells when it has listed or fetched."""

    def __init__(self, source: Any, act: Act) -> None:
        self.source, self.act, self.uri = source, act, source.uri

    def list(self) -> Listing:
        listing: Listing = self.source.list()
        self.act("source.list")
        return listing

    def fetch(self, obj: SourceObject, target: Path) -> None:
        self.source.fetch(obj, target)
        self.act("source.fetch")


def run_and_die(harness: Harness, point: str, nth: int = 1) -> bool:
    """A run that is killed the n-th time it comes to the point; False when it never did.

    Its connection ends with it, so whatever it would do on its way out can not happen."""
    left = nth

    def act(name: str) -> None:
        nonlocal left
        left -= name == point
        if name == point and left == 0:
            own.conn.close()
            raise Killed

    try:
        with worker(harness, act) as own:
            own.run()
    except (Killed, RagError, psycopg.Error):
        if left > 0:
            raise
    return left <= 0


def run_and_lose_server(harness: Harness, point: str) -> bool:
    """A run whose connection the server ends at the point; it must say so in our words."""
    lost = False

    def act(name: str) -> None:
        nonlocal lost
        if name == point and not lost:
            lost = True
            pid = own.conn.info.backend_pid
            harness.conn.execute("select pg_terminate_backend(%s, 5000)", [pid])

    try:
        with worker(harness, act) as own:
            own.run()
    except UnavailableError:
        assert lost
    return lost


class PausedRun:
    """A run in a thread of its own that stands still at a point until `finish`."""

    def __init__(self, harness: Harness, point: str) -> None:
        self.harness, self.point = harness, point
        self.stopped, self.may_go = Event(), Event()
        self.error: BaseException | None = None
        self.thread = Thread(target=self._run, name="paused run")
        self.thread.start()
        assert self.stopped.wait(60)

    def _act(self, name: str) -> None:
        if name == self.point and not self.may_go.is_set():
            self.stopped.set()
            assert self.may_go.wait(600)

    def _run(self) -> None:
        try:
            with worker(self.harness, self._act) as own:
                own.run()
        except BaseException as error:
            self.error = error
        finally:
            self.stopped.set()

    def finish(self) -> None:
        """Let it go on to its end, which must be a good one."""
        self.may_go.set()
        self.thread.join(60)
        assert not self.thread.is_alive()
        if self.error is not None:
            raise self.error
