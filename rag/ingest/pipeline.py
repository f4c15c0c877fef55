"""The five stages in order: the one list that assets, the CLI and tests share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from rag.ingest.chunk import cut_chunks
from rag.ingest.current import in_force, publish_everywhere
from rag.ingest.embed import embed_chunks
from rag.ingest.parse import parse_documents
from rag.ingest.register import register_documents
from rag.ingest.workshop import StageReport, Workshop
from rag.model import Shard

Stage = Callable[[Workshop, Shard], StageReport]

STAGES: Mapping[str, Stage] = MappingProxyType({
    "raw_documents": register_documents,
    "parsed_documents": parse_documents,
    "chunks": cut_chunks,
    "embeddings": embed_chunks,
    "search_index": publish_everywhere,
})  # fmt: skip


def bring_up_to_date(shop: Workshop, shard: Shard) -> list[StageReport]:
    """Run every stage on one shard, under its collection's recipe."""
    shop = in_force(shop, shard)
    return [stage(shop, shard) for stage in STAGES.values()]
