"""`python -m rag_assets.ingest NS/NAME`: bring a collection up to date in this process.

The command line starts it as a child: the product itself never imports Dagster. The same job runs
as from the sensor, recorded on the same instance, one run per shard. Standard output carries one
JSON object per line and nothing else:

    {"event": "run", "partition": ..., "run_id": ...}        a run begins
    {"event": "waiting", "partition": ..., "run_id": ...}    another run of the partition goes first
    {"event": "progress", "stage": ..., "done": n, "total": n}
    {"event": "page", "name": ..., "page": n, "pages": n}    where the parser is in a long document
    {"event": "end", "error": null or {"code": ..., "message": ...}}

When standard input closes (the command ended, in whatever way) the run is interrupted.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO
from uuid import uuid4

import dagster as dg
from dagster._core.errors import DagsterAssetCheckFailedError

from rag.errors import RagError
from rag.model import CollectionName, Shard
from rag.settings import load_settings
from rag_assets.definitions import build_definitions, platform_resources
from rag_assets.partitions import collections_partitions
from resources.workshop import Say, WorkshopResource

if TYPE_CHECKING:
    from rag.ingest.workshop import Workshop

Emit = Callable[[dict[str, object]], None]

_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_PROGRESS_EVERY_S = 0.2
_LOOK_S = 1.0
_emitters: list[Emit] = []


class WatchedWorkshopResource(WorkshopResource):
    """The workshop of the command line: progress is told to the process that started us, too."""

    @contextmanager
    def open(self, run_id: str, say: Say) -> Iterator[Workshop]:
        """As the workshop itself, watched."""
        with super().open(run_id, say) as shop:
            emit = _emitters[-1]
            watched = throttled(emit)

            def progress(stage: str, done: int, total: int) -> None:
                shop.progress(stage, done, total)
                watched(stage, done, total)

            def on_page(name: str, page: int, pages: int) -> None:
                shop.on_page(name, page, pages)
                emit({"event": "page", "name": name, "page": page, "pages": pages})

            yield replace(shop, progress=progress, on_page=on_page)


def throttled(emit: Emit) -> Callable[[str, int, int], None]:
    """Progress as events: the last one of a stage always, others a few times a second."""
    last = 0.0

    def progress(stage: str, done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _PROGRESS_EVERY_S or done == total:
            last = now
            emit({"event": "progress", "stage": stage, "done": done, "total": total})

    return progress


def main(arguments: Sequence[str]) -> int:
    """Run every shard of the collection; the last line says how it ended."""
    emit = _own_standard_output()
    _emitters.append(emit)
    threading.Thread(target=_watch_parent, name="parent", daemon=True).start()
    error: dict[str, str] | None = None
    try:
        for shard in _shards(CollectionName.parse(arguments[0])):
            _run(shard, emit)
    except KeyboardInterrupt:
        error = {"code": "interrupted", "message": "Interrupted."}
    except Exception as raised:
        traceback.print_exception(raised)  # into the log of the command that started us
        error = as_error(raised)
    emit({"event": "end", "error": error})
    return 0 if error is None else 1


def _shards(name: CollectionName) -> tuple[Shard, ...]:
    from rag.store.collections import find_collection

    with platform_resources()["database"].connect() as conn:  # type: ignore[attr-defined]
        return find_collection(conn, name).shard_list()


def _run(shard: Shard, emit: Emit) -> None:
    """One shard, through the job `ingest`, on the instance of this environment."""
    key = shard.partition_key
    with dg.DagsterInstance.get() as instance:
        if key not in instance.get_dynamic_partitions(str(collections_partitions.name)):
            instance.add_dynamic_partitions(str(collections_partitions.name), [key])
        _wait_for_others(instance, key, emit)
        run_id = str(uuid4())
        emit({"event": "run", "partition": key, "run_id": run_id})
        _job().execute_in_process(
            partition_key=key, instance=instance, run_id=run_id, raise_on_error=True
        )


def _job() -> dg.JobDefinition:
    resources = platform_resources()
    workshop = resources["workshop"]
    assert isinstance(workshop, WorkshopResource)
    parts = {name: resources[name] for name in resources if name != "workshop"}
    resources["workshop"] = WatchedWorkshopResource(**parts)
    return build_definitions(load_settings(), resources).resolve_job_def("ingest")


def _wait_for_others(instance: dg.DagsterInstance, key: str, emit: Emit) -> None:
    """Runs of one partition never overlap: those that were there first end first."""
    filters = dg.RunsFilter(statuses=_UNFINISHED, tags={"dagster/partition": key})
    told: set[str] = set()
    while runs := instance.get_runs(filters=filters, limit=1):
        if runs[0].run_id not in told:
            told.add(runs[0].run_id)
            emit({"event": "waiting", "partition": key, "run_id": runs[0].run_id})
        time.sleep(_LOOK_S)


def as_error(raised: BaseException) -> dict[str, str]:
    """Code and message of what ended a run, dug out of Dagster's wrapping."""
    for seen in _causes(raised):
        if isinstance(seen, RagError):
            return {"code": seen.code, "message": seen.message}
        if isinstance(seen, DagsterAssetCheckFailedError):
            return {
                "code": "check_failed",
                "message": "A blocking check failed, so nothing was published on top of it: open "
                "the run in Dagster, or run `rag status`.",
            }
    return {"code": "unexpected", "message": f"{type(raised).__name__}: {raised}"}


def _causes(raised: BaseException) -> list[BaseException]:
    """The error and what it wraps, outermost first. Dagster's wrapping can go round in circles."""
    chain: list[BaseException] = []
    seen: BaseException | None = raised
    while seen is not None and all(seen is not each for each in chain):
        chain.append(seen)
        seen = getattr(seen, "user_exception", None) or seen.__cause__ or seen.__context__
    return chain


def _own_standard_output() -> Emit:
    """Keep the real standard output for events; whatever else is printed goes to standard error."""
    out: TextIO = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    lock = threading.Lock()

    def emit(event: dict[str, object]) -> None:
        with lock:
            out.write(json.dumps(event) + "\n")

    return emit


def _watch_parent() -> None:
    while os.read(0, 4096):
        pass  # nothing is said to us: only the end counts
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
