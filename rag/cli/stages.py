"""The five stages as people follow them: bars on a terminal, plain lines anywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rag.cli.terminal import messages, note

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

LABELS: Mapping[str, tuple[str, str]] = {
    "raw_documents": ("look and fetch", "documents"),
    "parsed_documents": ("parse", "documents"),
    "chunks": ("cut", "documents"),
    "embeddings": ("embed", "chunks"),
    "search_index": ("publish", "documents"),
}
_PLAIN_EVERY_S = 3.0


class Stages(Protocol):
    """Shows how far each stage is."""

    def show(self, stage: str, done: int, total: int) -> None:
        """`done` of `total`; a total of 0 is not known yet."""
        ...


@contextmanager
def followed_stages(*, is_silent: bool = False) -> Iterator[Stages]:
    """Bars on standard error while the block runs; lines where that is no terminal."""
    if is_silent:
        yield _Silent()
    elif sys.stderr.isatty():
        with _progress() as progress:
            yield _Bars(progress)
    else:
        lines = _Lines()
        yield lines
        lines.flush()


class _Silent:
    def show(self, stage: str, done: int, total: int) -> None:
        """Nothing."""


class _Bars:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {
            stage: progress.add_task(label, total=None, start=False, unit=unit)
            for stage, (label, unit) in LABELS.items()
        }

    def show(self, stage: str, done: int, total: int) -> None:
        """Move one bar; its clock starts when there is something to do."""
        if stage not in self._tasks:
            return
        task = self._tasks[stage]
        if done or total:
            self._progress.start_task(task)
        self._progress.update(task, completed=done, total=total or None)


class _Lines:
    """At most one line every few seconds, and one for the last state."""

    def __init__(self) -> None:
        self._shown: dict[str, tuple[int, int]] = {}
        self._pending: dict[str, tuple[int, int]] = {}
        self._last = time.monotonic()

    def show(self, stage: str, done: int, total: int) -> None:
        """Take note, and write when it is time."""
        if stage in LABELS and (done or total) and self._shown.get(stage) != (done, total):
            self._pending[stage] = (done, total)
        if self._pending and time.monotonic() - self._last >= _PLAIN_EVERY_S:
            self.flush()

    def flush(self) -> None:
        """Write what has changed since the last line."""
        parts = [
            f"{LABELS[stage][0]} {done:,}" + (f"/{total:,}" if total else "")
            for stage, (done, total) in sorted(
                self._pending.items(), key=lambda item: list(LABELS).index(item[0])
            )
        ]
        if parts:
            note("  " + ", ".join(parts))
        self._shown.update(self._pending)
        self._pending.clear()
        self._last = time.monotonic()


def _progress() -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("  {task.description:<14}"),
        BarColumn(bar_width=32),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        TimeElapsedColumn(),
        console=messages(),
    )
