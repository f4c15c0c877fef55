"""rag-assets: all five stages on a local folder and the real chunker; parser, tokenizer and
embedder are free, or with a model all real."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.incremental.job import EMBEDDER, Job, contender
from benchmarks.incremental.vectors import DIMENSION, Counter, Embedder
from rag.embed.engine import EmbeddingEngine, open_embedder
from rag.embed.tokenizer import ModelTokenizer
from rag.ingest.pipeline import STAGES
from rag.ingest.spool import Spool
from rag.ingest.workshop import Workshop
from rag.model import CollectionName
from rag.parse.pool import DoclingParser
from rag.ports import Embedder as RunEmbedder
from rag.ports import ParseJob, Parser, Tokenizer
from rag.settings import Settings
from rag.sources.folder import FolderSource, uri_of
from rag.store import collections
from rag.store.database import connect
from rag.store.migration import migrate
from rag_assets_tests.fakes import FakeParser

NAME = CollectionName("bench", "passages")
# two paragraphs of the corpus never fit one chunk, and each fits alone
CHUNKING = {"chunk_strategy": "docling_hybrid", "chunk_overlap": 0, "chunk_prefix": "none"}
# no contender builds a vector index: so none of ours, however many passages there are
_NO_INDEX_ROWS = 10**9
FREE_CHUNK, REAL_CHUNK = 64, 240


class FreeTokenizer:
    """A token is a word; found by numpy, for the corpus is plain ASCII."""

    max_tokens = 256
    config: dict[str, object] = {"tokenizer": "words"}  # noqa: RUF012 - read only

    def starts(self, texts: Sequence[str]) -> list[list[int]]:
        return [self._starts(text) for text in texts]

    def _starts(self, text: str) -> list[int]:
        is_inside = np.frombuffer(f" {text}".encode("ascii"), np.uint8) > ord(" ")
        found: list[int] = np.flatnonzero(is_inside[1:] & ~is_inside[:-1]).tolist()
        return found

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]


class FreeEmbedder:
    """The common embedder behind our port."""

    dimension = DIMENSION

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.config: dict[str, object] = {"model": embedder.model, "dimension": DIMENSION}

    def prepare(self) -> None:
        """It is always ready."""

    def embed(
        self,
        texts: Sequence[str],
        on_batch: Callable[[int, int], None] | None = None,  # noqa: ARG002
    ) -> NDArray[np.float32]:
        return self._embedder.embed(texts)

    def embed_query(self, text: str) -> NDArray[np.float32]:
        found: NDArray[np.float32] = self.embed([text])[0]
        return found


class TimedEmbedder:
    """Our engine; `EMBEDDER` runs while it computes."""

    def __init__(self, engine: EmbeddingEngine, counter: Path) -> None:
        self._engine, self._counter = engine, Counter(counter)
        self.dimension, self.config = engine.dimension, engine.config

    def prepare(self) -> None:
        """Loaded before the clock starts."""

    def embed(
        self, texts: Sequence[str], on_batch: Callable[[int, int], None] | None = None
    ) -> NDArray[np.float32]:
        with EMBEDDER:
            found = self._engine.embed(texts, on_batch)
        self._counter.add(len(texts))
        return found

    def embed_query(self, text: str) -> NDArray[np.float32]:
        return self._engine.embed_query(text)


class Tools(NamedTuple):
    """What a run parses, counts and embeds with."""

    parser: Parser
    tokenizer: Tokenizer
    embedder: RunEmbedder
    chunk_size: int


@cache
def tools(job: Job) -> Tools:
    counter = Path(job.counter)
    if not job.is_real:
        embedder = FreeEmbedder(Embedder(job.model, counter))
        return Tools(FakeParser(), FreeTokenizer(), embedder, FREE_CHUNK)
    engine = open_embedder(job.model, Settings().embedding_precision, models_folder())
    engine.warm()
    return Tools(
        warm_parser(), ModelTokenizer(Path(job.model)), TimedEmbedder(engine, counter), REAL_CHUNK
    )


def warm_parser() -> DoclingParser:
    """The parser with its child processes up and their readers imported, as what the others import
    is imported before the clock starts."""
    parser = DoclingParser()
    with tempfile.TemporaryDirectory() as folder:
        jobs = []
        for key in range(2 * parser.workers):
            path = Path(folder) / f"{key}.txt"
            path.write_text("warm\n", encoding="utf-8")
            jobs.append(ParseJob(key, path, path.name))
        list(parser.parse(jobs))
    return parser


def models_folder() -> Path:
    """Where the converted model is kept between processes, as in a home of the product."""
    return Path(tempfile.gettempdir()) / "rag-bench-models"


def make_collection(job: Job, shards: int = 1) -> None:
    """The schema, and a collection over the job's folder."""
    migrate(job.url)
    with connect(job.url) as conn:
        collection = collections.create_collection(conn, NAME, shards=shards)
        collections.add_source(conn, collection, uri_of(job.folder) + "/")


def bring_up(job: Job, shard: int = 0, slot: AbstractContextManager[bool] | None = None) -> None:
    """Bring one shard of the collection up to date; the stage that embeds holds the slot."""
    parser, tokenizer, embedder, chunk_size = tools(job)
    with connect(job.url) as conn:
        shop = Workshop(
            conn=conn,
            database_url=job.url,
            # the 5 % deletions must not meet the mass-deletion breaker
            settings=Settings(  # type: ignore[call-arg]
                **CHUNKING,  # type: ignore[arg-type]
                chunk_size=chunk_size,
                deletion_share=0.2,
                own_partition_rows=_NO_INDEX_ROWS,
            ),
            spool=Spool(Path(job.state) / "spool"),
            open_source=FolderSource,
            parser=parser,
            tokenizer=tokenizer,
            embedder=embedder,
            run_id="bench",
        )
        of = collections.find_collection(conn, NAME).shard_list()[shard]
        for name, stage in STAGES.items():
            with slot if slot and name == "embeddings" else nullcontext():
                stage(shop, of)


if __name__ == "__main__":
    contender(make_collection, bring_up, tools)
