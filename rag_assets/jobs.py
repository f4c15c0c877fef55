"""What people and sensors launch."""

from __future__ import annotations

import dagster as dg

FRESHNESS = dg.AssetCheckKey(dg.AssetKey("search_index"), "freshness")
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

inspection = dg.define_asset_job(
    "inspection",
    selection=dg.AssetSelection.groups("ingest"),
    executor_def=dg.in_process_executor,
    # a job of nothing but checks would have no partitions
    description="As `ingest`, and checks drift. Sensors launch its checks alone: whether one shard "
    "of a collection is current, and what came last into it like what was there before.",
)
