"""What must hold after every step of a history."""

from __future__ import annotations

from dataclasses import asdict

from hypothesis.stateful import RuleBasedStateMachine, invariant

from rag.store.database import Connection
from rag_assets_tests.fakes_source import FakeSource
from rag_assets_tests.ingest.harness import Harness
from rag_assets_tests.world import assert_world_is_sound, served

NAME = "acme/docs"


class Oracle(RuleBasedStateMachine):
    """A machine that knows what its source holds and held, and judges the index by it."""

    conn: Connection
    source: FakeSource
    # at which ticks a text was written under an address
    written: dict[tuple[str, str], list[int]]
    oldest_allowed: dict[str, int]
    erased: set[str]
    forgotten: set[bytes]
    # heard of since they changed last
    heard: set[str]
    # served, and in the source all the time
    steady: set[str]
    is_going_well: bool
    is_index_touched: bool

    @invariant()
    def is_sound(self) -> None:
        if not getattr(self, "is_index_touched", False):
            return
        self.is_going_well = self.is_index_touched = False
        assert_world_is_sound(self.conn)
        self._check_steady()
        self._check_heard()
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

    def _check_heard(self) -> None:
        """What was heard of is still a hint, or known as it is, or has a named reason to wait."""
        rows = self.conn.execute("select uri, etag from document where deleted_at is null")
        hinted = {row["uri"] for row in self.conn.execute("select uri from hint")}
        known = {row["uri"]: row["etag"] for row in rows}
        there = {self.source.uri + name: etag for name, (_, etag, _) in self.source.objects.items()}
        held = known.keys() - there.keys() if self._is_breaker_open() else set()
        for uri in self.heard - hinted - held - self._excused() - self.erased:
            assert known.get(uri) == there.get(uri), f"{uri} changed, and the hint is lost"

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
        assert self._is_breaker_open() or found.keys() <= wanted.keys() | excused

    def _excused(self) -> set[str]:
        waiting = self.conn.execute(
            "select document.uri from document where exists (select from dead_letter as l"
            "  where l.document_id = document.id and l.resolved_at is null)"
            " or exists (select from lease where lease.version_id = document.version_id"
            "  and lease.owner is not null)"
        )
        return {row["uri"] for row in waiting}

    def _is_breaker_open(self) -> bool:
        rows = self.conn.execute("select from source where breaker_since is not null").fetchall()
        return bool(rows)

    def _is_live(self, harness: Harness) -> bool:
        """Whether what serves was made under the harness' configuration."""
        rows = self.conn.execute(
            "select from generation where state = 'live' and (parser_id, chunker_id, model_id)"
            " = (%(parser_id)s, %(chunker_id)s, %(model_id)s)",
            asdict(harness.shop().build(harness.shard)),
        )
        return bool(rows.fetchall())

    def _is_building(self, which: str = "true") -> bool:
        sql = f"select from generation where state = 'building' and {which}"
        return bool(self.conn.execute(sql.encode()).fetchall())

    def _wanted(self) -> dict[str, str]:
        texts = {
            self.source.uri + name: data.decode()
            for name, (data, _, _) in self.source.objects.items()
        }
        return {uri: text for uri, text in texts.items() if uri not in self.erased}
