"""Definitions small enough to start a whole Dagster with in a test."""

from __future__ import annotations

import os
import time
from pathlib import Path

import dagster as dg


@dg.asset
def endless() -> None:
    """Says that it runs, with its process id, and does not end by itself."""
    (Path(os.environ["RAG_HOME"]) / "run.pid").write_text(str(os.getpid()))
    time.sleep(600)


@dg.asset
def quick() -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(metadata={"database": os.environ["RAG_DATABASE_URL"][:10]})


defs = dg.Definitions(
    assets=[endless, quick],
    jobs=[
        dg.define_asset_job("endless_job", [endless], executor_def=dg.in_process_executor),
        dg.define_asset_job("quick_job", [quick], executor_def=dg.in_process_executor),
    ],
)
