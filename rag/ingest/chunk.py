"""chunks: cut parsed text into passages that fit the model, each text once per namespace."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from rag.batches import batched, overlapped
from rag.chunking.chunker import Passage, cut_all
from rag.chunking.context import BLANK_LINE
from rag.errors import PoisonError, RagError
from rag.fingerprint import digest, fingerprint
from rag.ingest.apart import Apart, apart
from rag.ingest.retry import file_poison
from rag.ingest.workshop import StageReport, Workshop, preview, recorded_stage
from rag.model import Shard
from rag.store import content
from rag.store.content import CutText
from rag.store.database import Row
from rag.store.statistics import refresh_statistics

BATCH = 200


def cut_chunks(shop: Workshop, shard: Shard) -> StageReport:
    """Cut what the shard lacks under the chunker in force."""
    build = shop.build(shard)
    with recorded_stage(shop, shard, "chunks") as report:
        report.add("documents", 0)
        report.add("chunks", 0)
        report.add("tokens", 0)
        name = fingerprint("chunker", shop.chunker_config)
        uncut = content.select(shop.conn, "uncut_ids", build, fingerprint=name)
        waiting = [row["parsed_id"] for row in uncut]
        found = (
            content.select(shop.conn, "uncut", build, ids=list(ids))
            for ids in batched(waiting, BATCH)
        )

        def make(rows: list[Row]) -> Apart[Row, CutText]:
            return apart(partial(_cut, shop), rows)

        def write(made: Apart[Row, CutText]) -> tuple[list[CutText], int]:
            cut = [text for _, text in made[0]]
            kept = content.insert_chunks(shop.conn, build, cut, shop.run_id)
            refresh_statistics(shop.conn)
            for row, error in made[1]:
                parsed_id = row["parsed_id"]
                rows = content.select(shop.conn, "documents_of_parsed", build, parsed_id=parsed_id)
                file_poison(shop, rows, "chunk", name, error)
            return cut, kept

        for cut, kept in overlapped(found, make, write):
            report.add("chunks", kept)
            report.add("documents", len(cut))
            report.add("tokens", sum(chunk.tokens for item in cut for chunk in item.chunks))
            shop.progress("chunks", report.counts["documents"], len(waiting))
        content.resolve(shop.conn, "resolve_cut", build)
        report.preview = preview(shop.conn, build)
        report.counts["total"] = content.select_one(shop.conn, "stage_counts", build)["chunks"]
    return report


def _cut(shop: Workshop, rows: Sequence[Row]) -> list[CutText]:
    documents = map(content.document_from_row, rows)
    try:
        cut = list(cut_all(documents, shop.chunk_config, shop.tokenizer))
    except RagError:
        raise
    except Exception as error:
        raise PoisonError(
            f"The text can not be cut ({type(error).__name__}: {error}): report it; other "
            "documents go on.",
            code="chunking_failed",
        ) from error
    return [_keepable(row, passages) for row, passages in zip(rows, cut, strict=True)]


def _keepable(row: Row, passages: Sequence[Passage]) -> CutText:
    # stored so that context || text is what the model sees
    contexts = tuple(context and context + BLANK_LINE for _, context in passages)
    return CutText(
        parsed_id=row["parsed_id"],
        chunks=tuple(chunk for chunk, _ in passages),
        contexts=contexts,
        embedded_hashes=tuple(
            digest([context + chunk.text])
            for context, (chunk, _) in zip(contexts, passages, strict=True)
        ),
    )
