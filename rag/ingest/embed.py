"""embeddings: a vector for each text the model has not seen in the namespace."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rag.batches import batched, overlapped
from rag.errors import PoisonError
from rag.fingerprint import fingerprint
from rag.ingest.apart import apart
from rag.ingest.retry import file_poison
from rag.ingest.workshop import StageReport, Workshop, recorded_stage
from rag.model import Shard
from rag.ports import Embedder
from rag.store import content
from rag.store.content import Build
from rag.store.statistics import refresh_statistics

# documents per batch: enough texts to sort by length, few enough to keep memory flat
BATCH = 250


def embed_chunks(shop: Workshop, shard: Shard) -> StageReport:
    """Embed what the shard lacks under the model in force. When the engine is down the run fails
    here; everything embedded until then is kept and no document is blamed. A text without a usable
    vector keeps its documents back, and no others."""
    build = shop.build(shard)
    with recorded_stage(shop, shard, "embeddings") as report:
        report.add("embedded", 0)
        report.add("embedder_ms", 0)
        name = fingerprint("model", shop.embedder.config)
        rows = content.select(shop.conn, "sets_to_embed", build, fingerprint=name)
        sets = [row["chunk_set_id"] for row in rows]
        done = 0
        for count, embedded in _embedded(shop, build, sets, name, report):
            done += count
            report.add("embedded", embedded)
            shop.progress("embeddings", done, len(sets))
        content.resolve(shop.conn, "resolve_embedded", build)
        total = content.select_one(shop.conn, "stage_counts", build)["chunks"]
        report.add("chunks", total)
        report.facts["model"] = name
        report.facts["dimension"] = shop.embedder.dimension
    return report


class _Text(NamedTuple):
    """A text to embed, and its hash."""

    hashed: bytes
    text: str


class _Batch(NamedTuple):
    """Some chunk sets, with the texts among theirs that lack a vector, then with the vectors and
    with what has none."""

    sets: list[int]
    texts: list[_Text]
    embedded: list[tuple[_Text, NDArray[np.float32]]]
    failed: list[tuple[_Text, PoisonError]]


def _embedded(
    shop: Workshop, build: Build, sets: list[int], name: str, report: StageReport
) -> Iterator[tuple[int, int]]:
    """(chunk sets, texts embedded) of batch after batch."""
    in_hand: set[bytes] = set()  # read with the batch before, whose vectors are not written yet

    def read() -> Iterator[_Batch]:
        for batch in batched(sets, BATCH):
            found = content.select(shop.conn, "texts_to_embed", build, sets=list(batch))
            texts = [_Text(bytes(row["embedded_hash"]), row["text"]) for row in found]
            texts = [text for text in texts if text.hashed not in in_hand]
            in_hand.clear()
            in_hand.update(text.hashed for text in texts)
            yield _Batch(list(batch), texts, [], [])

    def make(batch: _Batch) -> _Batch:
        started = time.perf_counter()
        made = _with_vectors(shop.embedder, batch) if batch.texts else batch
        report.add("embedder_ms", round(1000 * (time.perf_counter() - started)))
        return made

    def write(batch: _Batch) -> tuple[int, int]:
        return len(batch.sets), _keep(shop, build, name, batch)

    return overlapped(read(), make, write)


def _with_vectors(embedder: Embedder, batch: _Batch) -> _Batch:
    def vectors_of(texts: Sequence[_Text]) -> list[NDArray[np.float32]]:
        return list(embedder.embed([text.text for text in texts]))

    embedded, failed = apart(vectors_of, batch.texts)
    return batch._replace(embedded=embedded, failed=failed)


def _keep(shop: Workshop, build: Build, name: str, batch: _Batch) -> int:
    """Write the vectors, file what has none; returns how many vectors were new."""
    count = 0
    if batch.embedded:
        hashes = [text.hashed for text, _ in batch.embedded]
        vectors = np.stack([vector for _, vector in batch.embedded])
        count = content.insert_embeddings(shop.conn, build, batch.sets, hashes, vectors)
        refresh_statistics(shop.conn)
    for text, error in batch.failed:
        rows = content.select(shop.conn, "documents_of_text", build, embedded_hash=text.hashed)
        file_poison(shop, rows, "embed", name, error)
    content.mark_embedded(shop.conn, build, batch.sets)
    return count
