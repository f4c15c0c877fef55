"""What people and sensors launch."""

from __future__ import annotations

import warnings

import dagster as dg

from rag_assets.partitions import collections_partitions

_FRESHNESS = dg.AssetCheckKey(dg.AssetKey("search_index"), "freshness")
DRIFT = (
    dg.AssetCheckKey(dg.AssetKey("parsed_documents"), "mix_drift"),
    dg.AssetCheckKey(dg.AssetKey("embeddings"), "embedding_drift"),
    dg.AssetCheckKey(dg.AssetKey("embeddings"), "topic_drift"),
    dg.AssetCheckKey(dg.AssetKey("search_index"), "query_drift"),
    dg.AssetCheckKey(dg.AssetKey("search_index"), "outcome_drift"),
)

ingest = dg.define_asset_job(
    "ingest",
    # drift is for a look now and then, not for each run
    selection=dg.AssetSelection.groups("ingest") - dg.AssetSelection.checks(*DRIFT),
    # a process per step would cost 23 s of a 28 s run; parallel work is inside the stages
    executor_def=dg.in_process_executor,
    description="Brings one shard of a collection up to date with its sources: look, parse, cut, "
    "embed, publish. Work is proportional to what changed; a repeat changes nothing.",
)

with warnings.catch_warnings():
    # of a job of nothing but checks partitions are not inferred, whatever the warning says
    warnings.simplefilter("ignore", DeprecationWarning)
    check_freshness = dg.define_asset_job(
        "check_freshness",
        selection=dg.AssetSelection.checks(_FRESHNESS),
        partitions_def=collections_partitions,
        executor_def=dg.in_process_executor,
        description="Checks whether one shard of a collection is current. It changes nothing.",
    )
    check_drift = dg.define_asset_job(
        "check_drift",
        selection=dg.AssetSelection.checks(*DRIFT),
        partitions_def=collections_partitions,
        executor_def=dg.in_process_executor,
        description="Checks whether what came last into one shard of a collection, and what is "
        "asked of it, is like what was there before. It changes nothing but the reference of a "
        "shard that has none.",
    )

# runs that bring nothing up to date
CHECKING = ("check_freshness", "check_drift")
