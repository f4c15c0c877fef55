"""A Ray cluster of two nodes with a processor each, on this machine, for the tests beside."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from rag.scale.cluster import Cluster

OBJECT_BYTES = 100 * 1024 * 1024


@pytest.fixture(scope="package")
def cluster() -> Iterator[Cluster]:
    """Joined by this process already; ends with the tests."""
    ray = pytest.importorskip("ray", reason="Ray is not installed: rag-assets[ray]")
    from ray.cluster_utils import Cluster as LocalNodes

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    options = {"num_cpus": 1, "object_store_memory": OBJECT_BYTES, "include_dashboard": False}
    nodes = LocalNodes(initialize_head=True, head_node_args=options)
    nodes.add_node(num_cpus=1, object_store_memory=OBJECT_BYTES)
    try:
        found = Cluster(nodes.address)
        found.join()
        yield found
    finally:
        ray.shutdown()
        nodes.shutdown()
