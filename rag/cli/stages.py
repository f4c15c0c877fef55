"""The five stages as people follow them: bars on a terminal, plain lines anywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rag.cli.terminal import escape, messages, note

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
_NAME_MOST = 40


class Stages(Protocol):
    """Shows how far each stage is."""

    def show(self, stage: str, done: int, total: int) -> None:
        """`done` of `total`; a total of 0 is not known yet."""
        ...

    def read(self, name: str, page: int, pages: int) -> None:
        """The parser is at `page` of the `pages` of the document `name`."""
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

    def read(self, name: str, page: int, pages: int) -> None:
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
        # what was read last need not be what is read now
        unit = LABELS[stage][1]
        self._progress.update(task, completed=done, total=total or None, unit=unit)

    def read(self, name: str, page: int, pages: int) -> None:
        """Name the page beside the bar of parsing."""
        unit = f"{LABELS['parsed_documents'][1]}  {_place(name, page, pages)}"
        self._progress.update(self._tasks["parsed_documents"], unit=unit)


class _Lines:
    """At most one line every few seconds, and one for the last state."""

    def __init__(self) -> None:
        self._shown: dict[str, tuple[int, int]] = {}
        self._pending: dict[str, tuple[int, int]] = {}
        self._reading = ""
        self._last = time.monotonic()

    def show(self, stage: str, done: int, total: int) -> None:
        """Take note, and write when it is time."""
        if stage in LABELS and (done or total) and self._shown.get(stage) != (done, total):
            self._pending[stage] = (done, total)
        self._write_in_time()

    def read(self, name: str, page: int, pages: int) -> None:
        """Take note, and write when it is time."""
        self._reading = _place(name, page, pages)
        self._write_in_time()

    def _write_in_time(self) -> None:
        if (self._pending or self._reading) and time.monotonic() - self._last >= _PLAIN_EVERY_S:
            self.flush()

    def flush(self) -> None:
        """Write what has changed since the last line."""
        parts = [
            f"{LABELS[stage][0]} {done:,}" + (f"/{total:,}" if total else "")
            for stage, (done, total) in sorted(
                self._pending.items(), key=lambda item: list(LABELS).index(item[0])
            )
        ]
        parts += [self._reading] if self._reading else []
        if parts:
            note("  " + ", ".join(parts))
        self._reading = ""
        self._shown.update(self._pending)
        self._pending.clear()
        self._last = time.monotonic()


def _place(name: str, page: int, pages: int) -> str:
    return f"{escape(shortened(name))} page {page:,} of {pages:,}"


def shortened(name: str) -> str:
    """The name in at most 40 characters, its end kept; what can not be printed is `?`."""
    shown = "".join(char if char.isprintable() else "?" for char in name)
    return shown if len(shown) <= _NAME_MOST else "..." + shown[3 - _NAME_MOST :]


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
