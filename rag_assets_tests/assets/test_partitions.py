"""Partition keys and shards are two writings of one thing."""

from __future__ import annotations

import pytest

from rag.errors import ConfigurationError
from rag.model import CollectionName, Shard
from rag_assets.partitions import shard_of

ACME = CollectionName("acme", "docs")


@pytest.mark.parametrize("shard", [Shard(ACME), Shard(ACME, 0, 2), Shard(ACME, 7, 100)])
def test_a_key_leads_back_to_its_shard(shard: Shard) -> None:
    assert shard_of(shard.partition_key, shard.count) == shard


@pytest.mark.parametrize(
    ("key", "shards", "code"),
    [
        ("acme", 1, "bad_name"),
        ("acme/docs/7", 8, "bad_partition"),
        ("acme/docs/ab", 8, "bad_partition"),
        ("acme/docs/01/02", 8, "bad_partition"),
        ("acme/docs", 2, "stale_partition"),
        ("acme/docs/00", 1, "stale_partition"),
        ("acme/docs/08", 8, "stale_partition"),
    ],
)
def test_a_key_that_fits_no_shard_is_refused(key: str, shards: int, code: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        shard_of(key, shards)

    assert caught.value.code == code
