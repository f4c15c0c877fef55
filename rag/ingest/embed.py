"""embeddings: a vector for each text the model has not seen in the namespace."""

from __future__ import annotations

from rag.fingerprint import fingerprint
from rag.ingest.batches import batched
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
        sets = [row["chunk_set_id"] for row in content.select(shop.conn, "sets_to_embed", build)]
        for number, batch in enumerate(batched(sets, BATCH), start=1):
            report.add("embedded", _embed(shop, build, list(batch)))
            shop.progress("embeddings", min(number * BATCH, len(sets)), len(sets))
        total = content.select_one(shop.conn, "stage_counts", build)["chunks"]
        report.add("chunks", total)
        report.facts["model"] = fingerprint("model", shop.embedder.config)
        report.facts["dimension"] = shop.embedder.dimension
    return report


def _embed(shop: Workshop, build: Build, sets: list[int]) -> int:
    rows = content.select(shop.conn, "texts_to_embed", build, sets=sets)
    embedded = 0
    if rows:
        vectors = shop.embedder.embed([row["text"] for row in rows])
        hashes = [bytes(row["embedded_hash"]) for row in rows]
        embedded = content.insert_embeddings(shop.conn, build, hashes, vectors)
        refresh_statistics(shop.conn)
    content.mark_embedded(shop.conn, build, sets)
    return embedded
