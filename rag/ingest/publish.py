"""search_index: make whole documents searchable, and move the live pointer when that is due."""

from __future__ import annotations

from rag.ingest.batches import batched
from rag.ingest.workshop import StageReport, Workshop, recorded_stage
from rag.model import Shard
from rag.store import index

BATCH = 500


def publish_documents(shop: Workshop, shard: Shard) -> StageReport:
    """Publish every document of the shard whose newest version is whole, each in one transaction
    with its rows. A generation of a new configuration goes live when it has caught up."""
    build = shop.build(shard)
    collection = shop.collection(shard)
    with recorded_stage(shop, shard, "search_index") as report:
        report.add("documents", 0)
        report.add("chunks", 0)
        generation = index.ensure_generation(shop.conn, build, shop.run_id)
        ids = index.to_publish(shop.conn, build, generation)
        for batch in batched(ids, BATCH):
            rows = index.publish(
                shop.conn, build, generation, batch, collection.language, shop.run_id
            )
            report.add("documents", len(rows))
            report.add("chunks", sum(row["chunk_count"] for row in rows))
            shop.progress("search_index", report.counts["documents"], len(ids))
        behind = index.documents_behind(shop.conn, build, generation)
        report.add("behind", behind)
        if not generation.is_live and behind == 0:
            index.promote(shop.conn, collection.id, generation)
            report.add("promoted")
        served = index.parity(shop.conn, generation)
        report.add("served_documents", served["documents"])
        report.add("served_chunks", served["chunks_served"])
        report.facts["generation"] = generation.id
    return report
