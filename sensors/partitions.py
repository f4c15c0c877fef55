"""Dagster's partitions are the shards of the collections there are: made and gone with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg

from rag.model import CollectionName, Shard
from rag_assets.partitions import COLLECTIONS

if TYPE_CHECKING:
    from rag.store.collections import Collection
    from rag.store.database import Connection


def ensure_partitions(instance: dg.DagsterInstance, collections: Sequence[Collection]) -> None:
    """Every shard of these collections is a partition."""
    wanted = [shard.partition_key for item in collections for shard in item.shard_list()]
    _add(instance, wanted, instance.get_dynamic_partitions(COLLECTIONS))


def match_partitions(conn: Connection, instance: dg.DagsterInstance) -> list[str]:
    """Every shard of every collection is a partition, and nothing else is; returns their keys. A
    key goes only when its collection, or this shard of it, is gone."""
    from rag.store.collections import list_collections

    # asked before the collections: a key that a new one adds meanwhile is not among these
    known = instance.get_dynamic_partitions(COLLECTIONS)
    wanted = [
        Shard(CollectionName(row["namespace"], row["name"]), index, row["shards"]).partition_key
        for row in list_collections(conn)
        for index in range(row["shards"])
    ]
    _add(instance, wanted, known)
    for key in sorted(set(known) - set(wanted)):
        instance.delete_dynamic_partition(COLLECTIONS, key)
    return wanted


def _add(instance: dg.DagsterInstance, wanted: Sequence[str], known: Sequence[str]) -> None:
    missing = sorted(set(wanted) - set(known))
    if missing:
        # a thousand at once take 0.2 s; through a sensor's result 24 s
        instance.add_dynamic_partitions(COLLECTIONS, missing)
