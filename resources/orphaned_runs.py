"""Runs whose process is gone: `python -m resources.orphaned_runs`, before the daemon starts.

The code server reports a worker that crashes. When machine or stack go down as a whole nobody
does: the run stays "started" for ever, and no other run of its partition may begin.
"""

from __future__ import annotations

import json
import socket
from typing import Any

import dagster as dg
from dagster._core.storage.tags import GRPC_INFO_TAG

_IN_PROGRESS = [
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_CONNECT_TIMEOUT_S = 2.0


def fail_orphaned_runs(instance: dg.DagsterInstance) -> int:
    """Mark as failed each run in progress whose code server is gone. Returns how many."""
    runs = instance.get_runs(filters=dg.RunsFilter(statuses=_IN_PROGRESS))
    orphans = [run for run in runs if not _is_served(run)]
    for run in orphans:
        instance.report_run_failed(run, "The platform stopped while this run was in progress.")
    return len(orphans)


def _is_served(run: dg.DagsterRun) -> bool:
    server: dict[str, Any] = json.loads(run.tags.get(GRPC_INFO_TAG, "{}"))
    if path := server.get("socket"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(_CONNECT_TIMEOUT_S)
            return probe.connect_ex(path) == 0
    if port := server.get("port"):
        with socket.socket() as probe:
            probe.settimeout(_CONNECT_TIMEOUT_S)
            return probe.connect_ex((server.get("host", "127.0.0.1"), int(port))) == 0
    return False


def main() -> None:
    """Clean up in the instance of this environment; makes Dagster's tables when absent."""
    with dg.DagsterInstance.get() as instance:
        print(f"{fail_orphaned_runs(instance)} orphaned runs")


if __name__ == "__main__":
    main()
