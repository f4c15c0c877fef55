"""A collection under test: a fake source and free engines over a real database."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Unpack

from rag.ingest.pipeline import bring_up_to_date
from rag.ingest.spool import Spool
from rag.ingest.workshop import Workshop
from rag.model import CollectionName, Shard, SourceOptions
from rag.ports import Source
from rag.search import SearchResult, search
from rag.settings import Settings
from rag.sources.selection import Selection, selected_rows
from rag.store import collections
from rag.store.database import Connection
from rag_assets_tests.fakes import FakeParser, FakeTokenizer
from rag_assets_tests.fakes_embed import FakeEmbedder
from rag_assets_tests.fakes_source import FakeSource

ACME = CollectionName("acme", "docs")


@dataclass
class Harness:
    """One collection with one source; `run` does what a Dagster run of its partition does."""

    conn: Connection
    database_url: str
    folder: Path
    name: CollectionName = ACME
    source: FakeSource = field(default_factory=FakeSource)
    parser: FakeParser = field(default_factory=FakeParser)
    embedder: FakeEmbedder = field(default_factory=FakeEmbedder)
    settings: dict[str, Any] = field(default_factory=dict)
    others: dict[str, FakeSource] = field(default_factory=dict)
    runs: int = 0
    shards: int = 1

    def __post_init__(self) -> None:
        collection = collections.create_collection(self.conn, self.name, shards=self.shards)
        collections.add_source(self.conn, collection, self.source.uri)

    @property
    def shard(self) -> Shard:
        return Shard(self.name, 0, self.shards)

    def shop(self) -> Workshop:
        """The tools of the next run."""
        self.runs += 1
        settings = {"chunk_size": 32, "chunk_overlap": 4, **self.settings}
        return Workshop(
            conn=self.conn,
            database_url=self.database_url,
            settings=Settings(**settings),
            spool=Spool(self.folder / "spool"),
            open_source=self.open_source,
            parser=self.parser,
            tokenizer=FakeTokenizer(),
            embedder=self.embedder,
            run_id=f"run-{self.runs}",
        )

    def open_source(self, uri: str, **options: Unpack[SourceOptions]) -> Source:
        """One of the fake sources, less what is not chosen."""
        return selected_rows(self.others.get(uri, self.source), Selection.of(**options))

    def run(self, index: int = 0) -> dict[str, dict[str, int]]:
        """Bring one shard up to date, by default the first; returns each stage's counts."""
        shard = Shard(self.name, index, self.shards)
        return {r.stage: r.counts for r in bring_up_to_date(self.shop(), shard)}

    def search(self, query: str, **options: Any) -> SearchResult:
        """Search the collection."""
        return search(self.conn, self.embedder, self.name, query, **options)
