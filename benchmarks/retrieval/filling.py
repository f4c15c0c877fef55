"""A collection of ready passages with ready vectors, brought in by the platform's own five stages;
only the parser and the tokenizer are fakes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.ingest.pipeline import bring_up_to_date
from rag.ingest.spool import Spool
from rag.ingest.workshop import Workshop
from rag.model import CollectionName, Listing, Shard, SourceObject
from rag.settings import Settings
from rag.store import collections
from rag.store.database import connect
from rag_assets_tests.fakes import FakeParser, FakeTokenizer

URI = "ready://passages/"
_LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


class ReadySource:
    """Documents in memory; a document is its passages, one chunk each."""

    uri = URI

    def __init__(self, documents: Mapping[str, Sequence[str]]) -> None:
        self._documents = documents

    def list(self) -> Listing:
        names = sorted(self._documents)
        return Listing(
            tuple(SourceObject(URI + name, name, 1, _LONG_AGO) for name in names), is_complete=True
        )

    def fetch(self, obj: SourceObject, target: Path) -> None:
        passages = self._documents[obj.uri.removeprefix(URI)]
        target.write_text("\n\n".join(passages), encoding="utf-8")


class ReadyEmbedder:
    """Vectors that were made before."""

    def __init__(self, vectors: Mapping[str, NDArray[np.float32]], dimension: int) -> None:
        self._vectors = vectors
        self.dimension = dimension
        self.config: dict[str, object] = {"model": "ready", "dimension": dimension}

    def prepare(self) -> None:
        """It is always ready."""

    def embed(
        self,
        texts: Sequence[str],
        on_batch: Callable[[int, int], None] | None = None,  # noqa: ARG002
    ) -> NDArray[np.float32]:
        return np.stack([self._vectors[text] for text in texts])

    def embed_query(self, text: str) -> NDArray[np.float32]:
        return self._vectors[text]


def fill(
    url: str,
    folder: Path,
    name: CollectionName,
    documents: Mapping[str, Sequence[str]],
    vectors: Mapping[str, NDArray[np.float32]],
    **settings: object,
) -> dict[str, float]:
    """Bring the documents in; returns the seconds of each stage."""
    chosen = {"chunk_strategy": "docling_hybrid", "chunk_overlap": 0, "chunk_prefix": "none"}
    with connect(url) as conn:
        made = collections.create_collection(conn, name)
        collections.add_source(conn, made, URI)
        shop = Workshop(
            conn=conn,
            database_url=url,
            settings=Settings(**{"chunk_size": 100_000, **chosen, **settings}),  # type: ignore[arg-type]
            spool=Spool(folder / f"spool-{name.namespace}-{name.collection}"),
            open_source=lambda uri, **options: ReadySource(documents),  # noqa: ARG005
            parser=FakeParser(),
            tokenizer=FakeTokenizer(max_tokens=100_002),
            embedder=ReadyEmbedder(vectors, len(next(iter(vectors.values())))),
            run_id="bench",
        )
        reports = bring_up_to_date(shop, Shard(name))
    return {report.stage: report.seconds for report in reports}
