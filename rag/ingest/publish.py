"""search_index: make whole documents searchable, and move the live pointer when that is due."""

from __future__ import annotations

from rag.batches import batched, overlapped
from rag.ingest.workshop import StageReport, Workshop, recorded_stage
from rag.model import Shard
from rag.recipe import recipe_of
from rag.store import access_lists, generations, index, partitions, postings, retention
from rag.store.database import Row
from rag.store.postings import Worded

BATCH = 500
_EXAMPLES = 3


def publish_documents(shop: Workshop, shard: Shard) -> StageReport:
    """Publish every document of the shard whose newest version is whole, each in one transaction
    with its rows. A generation of a new configuration goes live when it has caught up, unless the
    collection's gate decides that."""
    build = shop.build(shard)
    collection = shop.collection(shard)
    with recorded_stage(shop, shard, "search_index") as report:
        report.add("documents", 0)
        report.add("chunks", 0)
        generation = index.ensure_generation(shop.conn, build, shop.run_id)
        generations.note_recipe(shop.conn, generation.id, recipe_of(shop.settings))
        # before anything is searchable: attachments and what else came after the sources were read
        access_lists.enforce(shop.conn, collection.id, shard.index)
        ids = index.to_publish(shop.conn, build, generation)
        found = (
            (batch, postings.texts_to_publish(shop.conn, build, batch))
            for batch in batched(ids, BATCH)
        )

        def make(read: tuple[tuple[int, ...], list[Row]]) -> tuple[tuple[int, ...], Worded]:
            batch, rows = read
            return batch, Worded.of(rows)

        def write(made: tuple[tuple[int, ...], Worded]) -> list[Row]:
            batch, worded = made
            partitions.give_own_partition(
                shop.conn, generation.id, shop.settings.own_partition_rows
            )
            return index.publish(
                shop.conn, build, generation, batch, collection.language, shop.run_id, worded
            )

        examples: list[int] = []
        for rows in overlapped(found, make, write):
            examples += [row["document_id"] for row in rows[: _EXAMPLES - len(examples)]]
            report.add("documents", len(rows))
            report.add("chunks", sum(row["chunk_count"] for row in rows))
            shop.progress("search_index", report.counts["documents"], len(ids))
        partitions.build_vector_index(shop.conn, generation.id)
        behind = index.documents_behind(shop.conn, build, generation)
        report.add("behind", behind)
        is_held = shop.holds or generations.standing(shop.conn, collection.id)["is_gated"]
        if not generation.is_live and behind == 0 and not is_held:
            index.promote(shop.conn, collection.id, generation)
            report.add("promoted")
        served = index.parity(shop.conn, generation)
        report.add("served_documents", served["documents"])
        report.add("served_chunks", served["chunks_served"])
        report.facts["generation"] = generation.id
        report.lineage = [*retention.lineage_examples(shop.conn, generation.id, examples)]
    return report
