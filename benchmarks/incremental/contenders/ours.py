"""rag-assets: all five stages on a local folder, the real chunker, a free parser and embedder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.incremental.job import Job, contender
from benchmarks.incremental.vectors import DIMENSION, Embedder
from rag.ingest.pipeline import bring_up_to_date
from rag.ingest.spool import Spool
from rag.ingest.workshop import Workshop
from rag.model import CollectionName, Shard
from rag.settings import Settings
from rag.sources.folder import FolderSource, uri_of
from rag.store import collections
from rag.store.database import connect
from rag.store.migration import migrate
from rag_assets_tests.fakes import FakeParser, FakeTokenizer

NAME = CollectionName("bench", "passages")
# two paragraphs of the corpus never fit one chunk, and each fits alone
CHUNKING = {"chunk_strategy": "docling_hybrid", "chunk_size": 64, "chunk_overlap": 0}


class FreeEmbedder:
    """The common embedder behind our port."""

    dimension = DIMENSION

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.config: dict[str, object] = {"model": embedder.model, "dimension": DIMENSION}

    def embed(
        self,
        texts: Sequence[str],
        on_batch: Callable[[int, int], None] | None = None,  # noqa: ARG002
    ) -> NDArray[np.float32]:
        return self._embedder.embed(texts)

    def embed_query(self, text: str) -> NDArray[np.float32]:
        found: NDArray[np.float32] = self.embed([text])[0]
        return found


def prepare(job: Job) -> None:
    migrate(job.url)
    with connect(job.url) as conn:
        collection = collections.create_collection(conn, NAME)
        collections.add_source(conn, collection, uri_of(job.folder) + "/")


def update(job: Job) -> None:
    with connect(job.url) as conn:
        shop = Workshop(
            conn=conn,
            database_url=job.url,
            # the 5 % deletions must not meet the mass-deletion breaker
            settings=Settings(**CHUNKING, deletion_share=0.2),  # type: ignore[arg-type]
            spool=Spool(Path(job.state) / "spool"),
            open_source=FolderSource,
            parser=FakeParser(),
            tokenizer=FakeTokenizer(),
            embedder=FreeEmbedder(Embedder(job.model, Path(job.counter))),
            run_id="bench",
        )
        bring_up_to_date(shop, Shard(NAME))


if __name__ == "__main__":
    contender(prepare, update)
