"""Waiting until a collection is up to date while sensor and daemon do the work."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.cli import dagster_page
from rag.cli.stages import Stages, followed_stages
from rag.errors import TerminalError, UnavailableError
from rag.store import standing

if TYPE_CHECKING:
    from rag.cli.backend import Backend
    from rag.cli.dagster_page import Look
    from rag.store.collections import Collection

_POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class Current:
    """How we know that the index is up to date: what the sensor said last, and the runs made."""

    sensor_said: str
    run_ids: tuple[str, ...]


@dataclass(slots=True)
class _Watch:
    """One wait: what it waits for, and since when no run was seen."""

    backend: Backend
    found: Collection
    mark: int
    since: float
    quiet_since: float

    def has_caught_up(self, look: Look) -> bool:
        """Whether nothing is left to do: a run went through to the end, or the sensor has looked
        and asked for none; and our own look at the sources agrees."""
        if look.is_busy:
            self.quiet_since = time.time()
            return False
        has_published = any(
            row["stage"] == "search_index"
            for row in standing.stages_since(self.backend.conn, self.found.id, self.mark)
        )
        tick = look.tick
        has_looked = (
            tick is not None and tick.status == "SKIPPED" and tick.started_at > self.quiet_since
        )
        return (has_published or has_looked) and self._is_unchanged()

    def _is_unchanged(self) -> bool:
        from rag.cli.plan import source_plans

        return all(work.is_empty for _, work in source_plans(self.backend, self.found))


def wait_until_current(
    backend: Backend,
    found: Collection,
    mark: int,
    check: Callable[[], None],
    timeout_s: float,
    *,
    is_silent: bool = False,
) -> Current:
    """Return when the collection is up to date; shows the stages meanwhile.

    Raises TerminalError (`run_failed`) with the run's last events when a run fails,
    UnavailableError (`not_in_time`) with what was seen last."""
    url = backend.endpoints.dagster_url
    now = time.time()
    watch = _Watch(backend, found, mark, now, now)
    with followed_stages(is_silent=is_silent) as stages:
        while True:
            check()
            look = dagster_page.look(url, found.shard_list()[0].partition_key)
            _raise_on_failure(url, look, watch.since)
            _show(stages, standing.progress(backend.conn, found.id))
            if watch.has_caught_up(look):
                _show(stages, standing.progress(backend.conn, found.id))
                break
            if time.time() - watch.since > timeout_s:
                raise _not_in_time(url, look, timeout_s)
            time.sleep(_POLL_S)
    made = tuple(run.id for run in look.runs if run.created_at >= watch.since)
    return Current(look.tick.reason if look.tick else "", made)


def _show(stages: Stages, row: dict[str, int]) -> None:
    wanted = row["documents"] - row["failed"]
    stages.show("raw_documents", row["raw_documents"], row["documents"])
    stages.show("parsed_documents", row["parsed_documents"], row["documents"])
    stages.show("chunks", row["cut_documents"], wanted)
    stages.show("embeddings", row["embedded"], row["chunks"])
    stages.show("search_index", row["search_index"], wanted)


def _raise_on_failure(url: str, look: Look, since: float) -> None:
    for run in look.runs:
        if run.status in ("FAILURE", "CANCELED") and run.created_at >= since:
            tail = "\n  ".join(dagster_page.log_tail(url, run.id))
            raise TerminalError(
                f"The run {run.id} ended with {run.status}.", code="run_failed", log_tail=tail
            )
    tick = look.tick
    if tick is not None and tick.status == "FAILURE" and tick.started_at >= since:
        raise TerminalError(f"The sensor failed: {tick.reason}", code="sensor_failed")


def _not_in_time(url: str, look: Look, timeout_s: float) -> UnavailableError:
    run = look.runs[0] if look.runs else None
    state = f"run {run.id} is {run.status}" if run else "the sensor has asked for no run"
    tail = "\n  ".join(dagster_page.log_tail(url, run.id)) if run else ""
    return UnavailableError(
        f"The index is not up to date after {timeout_s:.0f} s ({state}): look into `.rag/logs`, or "
        "give it more time with --timeout.",
        code="not_in_time",
        log_tail=tail,
    )
