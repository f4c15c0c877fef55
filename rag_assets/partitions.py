"""Partitions are collection shards: `ns/name`, or `ns/name/07` where a collection has several."""

from __future__ import annotations

import re
from typing import NamedTuple

import dagster as dg

from rag.errors import ConfigurationError
from rag.model import CollectionName, Shard

COLLECTIONS = "collections"

collections_partitions = dg.DynamicPartitionsDefinition(name=COLLECTIONS)

_INDEX = re.compile(r"\d{2}")


class PartitionKey(NamedTuple):
    """A partition key, taken apart; `shard` is None for a collection of one shard."""

    name: CollectionName
    shard: int | None


def read_partition_key(key: str) -> PartitionKey:
    """The collection and shard index a key names. Raises ConfigurationError (`bad_partition`,
    `bad_name`)."""
    namespace, _, rest = key.partition("/")
    collection, _, index = rest.partition("/")
    if index and not _INDEX.fullmatch(index):
        raise ConfigurationError(
            f"'{key}' is not a partition: write namespace/collection, or "
            "namespace/collection/07 for a shard.",
            code="bad_partition",
        )
    return PartitionKey(
        CollectionName.parse(f"{namespace}/{collection}"), int(index) if index else None
    )


def shard_of(key: str, shards: int) -> Shard:
    """The shard a key names in a collection of `shards` shards. Raises ConfigurationError
    (`stale_partition`) when the collection has no such shard."""
    name, index = read_partition_key(key)
    shard = Shard(name, index or 0, shards)
    if shard.partition_key != key or shard.index >= shards:
        raise ConfigurationError(
            f"The partition {key} does not fit {name}, which has {shards} shard(s): delete the "
            "partition in Dagster and launch the collection's own.",
            code="stale_partition",
        )
    return shard
