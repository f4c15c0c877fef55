"""embeddings: a vector for each text the model has not seen in the namespace."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rag.batches import batched, overlapped
from rag.fingerprint import fingerprint
from rag.ingest.workshop import StageReport, Workshop, recorded_stage
from rag.model import Shard
from rag.store import content
from rag.store.content import Build
from rag.store.statistics import refresh_statistics

# documents per batch: enough texts to sort by length, few enough to keep memory flat
BATCH = 250


def embed_chunks(shop: Workshop, shard: Shard) -> StageReport:
    """Embed what the shard lacks under the model in force. When the engine is down the run fails
    here; everything embedded until then is kept and no document is blamed."""
    build = shop.build(shard)
    with recorded_stage(shop, shard, "embeddings") as report:
        report.add("embedded", 0)
        report.add("embedder_ms", 0)
        sets = [row["chunk_set_id"] for row in content.select(shop.conn, "sets_to_embed", build)]
        done = 0
        for count, embedded in _embedded(shop, build, sets, report):
            done += count
            report.add("embedded", embedded)
            shop.progress("embeddings", done, len(sets))
        total = content.select_one(shop.conn, "stage_counts", build)["chunks"]
        report.add("chunks", total)
        report.facts["model"] = fingerprint("model", shop.embedder.config)
        report.facts["dimension"] = shop.embedder.dimension
    return report


class _Batch(NamedTuple):
    """Some chunk sets, with the texts among theirs that lack a vector, then with the vectors."""

    sets: list[int]
    texts: list[str]
    hashes: list[bytes]
    vectors: NDArray[np.float32] | None = None


def _embedded(
    shop: Workshop, build: Build, sets: list[int], report: StageReport
) -> Iterator[tuple[int, int]]:
    """(chunk sets, texts embedded) of batch after batch."""
    in_hand: set[bytes] = set()  # read with the batch before, whose vectors are not written yet

    def read() -> Iterator[_Batch]:
        for batch in batched(sets, BATCH):
            found = content.select(shop.conn, "texts_to_embed", build, sets=list(batch))
            rows = [row for row in found if bytes(row["embedded_hash"]) not in in_hand]
            hashes = [bytes(row["embedded_hash"]) for row in rows]
            in_hand.clear()
            in_hand.update(hashes)
            yield _Batch(list(batch), [row["text"] for row in rows], hashes)

    def make(batch: _Batch) -> _Batch:
        if not batch.texts:
            return batch
        started = time.perf_counter()
        vectors = shop.embedder.embed(batch.texts)
        report.add("embedder_ms", round(1000 * (time.perf_counter() - started)))
        return batch._replace(vectors=vectors)

    def write(batch: _Batch) -> tuple[int, int]:
        embedded = 0
        if batch.vectors is not None:
            embedded = content.insert_embeddings(shop.conn, build, batch.hashes, batch.vectors)
            refresh_statistics(shop.conn)
        content.mark_embedded(shop.conn, build, batch.sets)
        return len(batch.sets), embedded

    return overlapped(read(), make, write)
