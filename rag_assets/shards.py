"""The shard a step works on, with a workshop to work in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import dagster as dg

from rag.model import Shard
from rag_assets.failures import named_failures
from rag_assets.partitions import read_partition_key, shard_of
from resources.workshop import WorkshopResource

if TYPE_CHECKING:
    from rag.ingest.workshop import Workshop

Context = dg.AssetExecutionContext | dg.AssetCheckExecutionContext


@contextmanager
def open_shard(context: Context, workshop: WorkshopResource) -> Iterator[tuple[Workshop, Shard]]:
    """The step's partition as a shard, and a workshop; product errors become step failures."""
    key = one_partition(context)
    run_id = context.op_execution_context.run.run_id
    with named_failures(), workshop.open(run_id, context.log.info) as shop:
        from rag.ingest.current import in_force
        from rag.store.collections import find_collection

        collection = find_collection(shop.conn, read_partition_key(key).name)
        shard = shard_of(key, collection.shards)
        yield in_force(shop, shard), shard


def one_partition(context: Context) -> str:
    """The one partition of the run. A run over a range, or without any, is refused: its check
    results and data versions would belong to no partition."""
    op_context = context.op_execution_context
    if not op_context.has_partition_key:
        raise dg.Failure(
            description="A run treats one shard and needs its partition: choose one, or launch a "
            "backfill, which makes one run per partition.",
            allow_retries=False,
        )
    return op_context.partition_key
