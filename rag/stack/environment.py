"""The environment of the stack's processes."""

from __future__ import annotations

import os
from pathlib import Path

from rag.stack.endpoints import Endpoints

_DAGSTER = {
    # Without these two a run over many partitions writes one event at a time (63 s against 2 s).
    "DAGSTER_EVENT_BATCH_SIZE": "1000",
    "DAGSTER_EMIT_PARTITION_SUBSET_IN_PLANNED_EVENTS": "1",
    "DAGSTER_DISABLE_TELEMETRY": "1",
    "DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS": "120",
}
_QUIET = {"TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1"}


def children_environment(home: Path, endpoints: Endpoints) -> dict[str, str]:
    """What is added to our own environment; a value that a person has set stays."""
    threads = str(os.cpu_count() or 1)
    defaults = {**_DAGSTER, **_QUIET, "OMP_NUM_THREADS": threads}
    chosen = {name: value for name, value in defaults.items() if not os.environ.get(name)}
    return {
        **chosen,
        "RAG_HOME": str(home),
        "DAGSTER_HOME": str(home / "dagster"),
        **endpoints.environment(),
    }
