"""What every ingest use case works with, and the report each one gives."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, Unpack

from rag.chunking.chunker import ChunkConfig, chunker_config
from rag.errors import ConfigurationError
from rag.fingerprint import fingerprint
from rag.ingest.spool import Spool
from rag.model import Shard, SourceOptions
from rag.ports import Embedder, Parser, Source, Tokenizer
from rag.settings import Settings
from rag.store import collections, content, ledger
from rag.store.collections import Collection
from rag.store.content import Build
from rag.store.database import Connection
from rag.store.statistics import refresh_statistics

Progress = Callable[[str, int, int], None]
Pages = Callable[[str, int, int], None]


class OpenSource(Protocol):
    """How a run gets at a source: the address, and which of its objects are taken (any, when
    nothing is said). The `options` of a `list_sources` row are these keywords."""

    def __call__(self, uri: str, **options: Unpack[SourceOptions]) -> Source: ...


class Engines(NamedTuple):
    """What cuts and embeds under some settings."""

    tokenizer: Tokenizer
    embedder: Embedder


OpenEngines = Callable[[Settings], Engines]


def no_engines(settings: Settings) -> Engines:
    """For a workshop that knows no recipe but its own."""
    raise ConfigurationError(
        f"This process can not open {settings.embedding_model}: run `rag ingest`.",
        code="no_engines",
    )


def no_progress(stage: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


def no_pages(name: str, page: int, pages: int) -> None:
    """Pages that nobody follows."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """The tools of one run: a connection, the ports, the settings. Ports open lazily, so that a
    run with nothing to parse or embed never loads a parser or a model."""

    conn: Connection
    database_url: str = field(repr=False)
    settings: Settings
    spool: Spool
    open_source: OpenSource
    parser: Parser
    tokenizer: Tokenizer
    embedder: Embedder
    run_id: str
    progress: Progress = no_progress
    on_page: Pages = no_pages  # at which page of which document the parser is
    open_engines: OpenEngines = no_engines
    holds: bool = False  # a generation that has caught up waits to be promoted

    @property
    def chunk_config(self) -> ChunkConfig:
        """How this run cuts text."""
        settings = self.settings
        return ChunkConfig(
            strategy=settings.chunk_strategy,
            size=settings.chunk_size,
            overlap=settings.chunk_overlap,
            prefix=settings.chunk_prefix,
        )

    def collection(self, shard: Shard) -> Collection:
        """The shard's collection."""
        return collections.find_collection(self.conn, shard.name)

    @property
    def parser_name(self) -> str:
        """The fingerprint of the parser in force."""
        return fingerprint("parser", self.parser.config)

    @property
    def chunker_config(self) -> dict[str, object]:
        """All that decides how a document is cut."""
        return chunker_config(self.chunk_config, self.tokenizer)

    def build(self, shard: Shard) -> Build:
        """The shard under the configuration in force."""
        collection = self.collection(shard)
        return Build(
            collection_id=collection.id,
            namespace_id=collection.namespace_id,
            shard=shard.index,
            parser_id=collections.ensure_fingerprint(self.conn, "parser", self.parser.config),
            chunker_id=collections.ensure_fingerprint(self.conn, "chunker", self.chunker_config),
            model_id=collections.ensure_fingerprint(self.conn, "model", self.embedder.config),
        )


@dataclass(slots=True)
class StageReport:
    """What one stage did to one shard: counts by name, failures, a few examples (of chunks, or of
    the lineage of what was published), seconds."""

    stage: str
    counts: dict[str, int] = field(default_factory=dict)
    failures: list[Mapping[str, Any]] = field(default_factory=list)
    preview: list[Mapping[str, Any]] = field(default_factory=list)
    lineage: list[Mapping[str, Any]] = field(default_factory=list)
    facts: dict[str, str | float] = field(default_factory=dict)
    seconds: float = 0.0

    def add(self, name: str, number: int = 1) -> None:
        """Count `number` more of `name`."""
        self.counts[name] = self.counts.get(name, 0) + number


@contextmanager
def recorded_stage(shop: Workshop, shard: Shard, stage: str) -> Iterator[StageReport]:
    """A report that is timed, given the shard's open failures, and kept when the stage ends."""
    report = StageReport(stage)
    started = time.perf_counter()
    yield report
    refresh_statistics(shop.conn)
    report.seconds = time.perf_counter() - started
    collection = shop.collection(shard)
    letters = ledger.open_letters(shop.conn, collection.id, [shard.index])
    report.failures = [row for row in letters if row["stage"] in _STAGES_OF_LETTERS[stage]]
    report.counts["failed"] = len(report.failures)
    ledger.record_stage(
        shop.conn, collection.id, shard.index, stage, shop.run_id, report.counts, report.seconds
    )


_STAGES_OF_LETTERS = {
    "raw_documents": ("fetch",),
    "parsed_documents": ("parse", "unpack"),
    "chunks": ("chunk",),
    "embeddings": ("embed",),
    "search_index": (),
}


def preview(conn: Connection, build: Build, limit: int = 5) -> list[Mapping[str, Any]]:
    """A few chunks of the shard, for people."""
    return list(content.select(conn, "chunk_preview", build, limit=limit))
