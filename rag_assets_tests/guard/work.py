"""The work an update or a search costs, counted: the same on a slow and on a fast machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rag.search import SearchRequest, look
from rag.store import lookup
from rag.store.database import connect
from rag.store.memory import Memory
from rag_assets_tests.guard.wire import Traffic, counted
from rag_assets_tests.ingest.harness import Harness

PARAGRAPHS = 4
SOME = range(6, 18)  # documents that change at one time


@dataclass(frozen=True, slots=True)
class Work:
    """What one step cost."""

    traffic: Traffic
    fetched: int
    parsed: int
    embedded: int

    @property
    def statements(self) -> int:
        """How many statements ran."""
        return self.traffic.statements.total()

    @property
    def round_trips(self) -> int:
        """How many answers of the server were waited for."""
        return self.traffic.round_trips

    @property
    def copied_bytes(self) -> int:
        """Bytes of rows sent by COPY."""
        return self.traffic.copied_bytes


@dataclass
class Bench:
    """One collection whose every step is counted."""

    harness: Harness
    traffic: Traffic
    steps: dict[str, Work] = field(default_factory=dict)

    def step(self, name: str, act: Callable[[], object]) -> None:
        """Do it, and keep what it cost."""
        harness = self.harness
        before = (
            len(harness.source.fetched), len(harness.parser.parsed),
            harness.embedder.texts_embedded,
        )  # fmt: skip
        self.traffic.clear()
        act()
        fetched, parsed, embedded = before
        self.steps[name] = Work(
            self.traffic.copy(),
            len(harness.source.fetched) - fetched,
            len(harness.parser.parsed) - parsed,
            harness.embedder.texts_embedded - embedded,
        )


def page(number: int, edited: str = "") -> bytes:
    """A document of PARAGRAPHS paragraphs, none like another's; each is one chunk."""
    told = " ".join(f"gauge {number * 100 + n} turns" for n in range(6))
    parts = [f"Paragraph {part} of station {number}: {told}." for part in range(PARAGRAPHS)]
    parts[1] += edited
    return "\n\n".join(parts).encode()


def work_of(url: str, folder: Path, documents: int) -> dict[str, Work]:
    """Every step's cost in a collection of that many documents."""
    with counted(url) as wire, connect(wire.url) as conn:
        harness = Harness(conn, wire.url, folder, settings={"chunk_size": 32, "chunk_overlap": 0})
        for number in range(documents):
            harness.source.put(f"page-{number:05}.txt", page(number))
        bench = Bench(harness, wire.traffic)
        bench.step("cold", harness.run)
        harness.run()  # what was used often by now is prepared
        bench.step("no-op", harness.run)
        harness.source.put("page-00003.txt", page(3, " It was oiled."))
        bench.step("edit", harness.run)
        harness.source.rename("page-00004.txt", "renamed.txt")
        bench.step("rename", harness.run)
        for number in SOME:
            harness.source.put(f"page-{number:05}.txt", page(number, " It was oiled."))
        bench.step("some edits", harness.run)
        for number in SOME:
            harness.source.rename(f"page-{number:05}.txt", f"renamed-{number}.txt")
        bench.step("some renames", harness.run)
        harness.search("gauge 1101 turns")
        bench.step("search", lambda: harness.search("gauge 1203 turns"))
        memory = Memory()
        _search(harness, memory)
        bench.step("search again", lambda: _search(harness, memory))
        bench.step("chatty no-op", lambda: _chatty(harness))
    return bench.steps


def _search(harness: Harness, memory: Memory) -> None:
    """As a service searches, with a memory of what was asked before."""
    query = "gauge 1203 turns"
    request = SearchRequest(harness.name, query, harness.embedder.embed_query(query))
    with lookup.reading(harness.conn):
        found = look(harness.conn, request, memory)
    assert found is not None
    assert found.result(request, None).hits


def _chatty(harness: Harness) -> None:
    """What the guard must catch: a run with nothing to do that asks about each document."""
    harness.run()
    for obj in harness.source.list().objects:
        harness.conn.execute("select id from document where uri = %s", [obj.uri])
