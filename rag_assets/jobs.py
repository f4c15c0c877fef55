"""What people and sensors launch."""

from __future__ import annotations

import dagster as dg

ingest = dg.define_asset_job(
    "ingest",
    selection=dg.AssetSelection.groups("ingest"),
    # a process per step would cost 23 s of a 28 s run; parallel work is inside the stages
    executor_def=dg.in_process_executor,
    description="Brings one shard of a collection up to date with its sources: look, parse, cut, "
    "embed, publish. Work is proportional to what changed; a repeat changes nothing.",
)
