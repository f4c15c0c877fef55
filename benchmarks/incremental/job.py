"""What the harness asks a contender's process to do, and what the process answers.

Imported by every contender in its own environment: standard library only.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit


@dataclass(frozen=True, slots=True)
class Job:
    """Bring the index in `url` up to date with `folder`. `step` is `prepare` (make tables; not
    timed) or `update`. `model` names the free embedder's vectors, or is the folder of a model."""

    step: str
    url: str
    folder: str
    state: str
    counter: str
    model: str

    @property
    def is_real(self) -> bool:
        """Whether `model` is a folder that holds a model."""
        return Path(self.model).is_absolute()

    @property
    def started(self) -> Path:
        """A file that is there from the moment the clock runs."""
        return Path(self.counter + ".started")

    def driver_url(self, driver: str) -> str:
        """The database's URL in SQLAlchemy's form."""
        return urlunsplit(urlsplit(self.url)._replace(scheme=f"postgresql+{driver}"))


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the step went: seconds of wall, CPU of this process and its children, peak memory of this
    process, and the seconds during which a real model computed."""

    seconds: float
    cpu_seconds: float
    peak_rss_mb: float
    embedder_seconds: float = 0.0


class Stopwatch:
    """The time during which at least one of its blocks was running, in whatever thread."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._running = 0
        self._since = 0.0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            if self._running == 0:
                self._since = time.perf_counter()
            self._running += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._running -= 1
            if self._running == 0:
                self.seconds += time.perf_counter() - self._since


EMBEDDER = Stopwatch()


def contender(
    prepare: Callable[[Job], None],
    update: Callable[[Job], None],
    load: Callable[[Job], object] = lambda job: None,  # noqa: ARG005
) -> None:
    """The main function of a contender: everything is imported, and a real model loaded, before the
    clock starts."""
    job = Job(**json.loads(sys.argv[1]))
    step = {"prepare": prepare, "update": update}[job.step]
    if job.is_real and job.step == "update":
        load(job)
    EMBEDDER.seconds = 0.0
    job.started.touch()
    wall, cpu = time.perf_counter(), _cpu_seconds()
    step(job)
    outcome = Outcome(
        time.perf_counter() - wall,
        _cpu_seconds() - cpu,
        _peak_rss_mb(),
        EMBEDDER.seconds,
    )
    print("\n" + json.dumps(asdict(outcome)), flush=True)


def timed_transformer(job: Job) -> None:
    """From now on `EMBEDDER` runs while sentence-transformers encodes, and the job's counter counts
    the texts. Imports torch."""
    from sentence_transformers import SentenceTransformer

    from benchmarks.incremental.vectors import Counter

    counter, encode = Counter(Path(job.counter)), SentenceTransformer.encode

    def timed(self: Any, texts: Any, *arguments: Any, **options: Any) -> Any:
        with EMBEDDER:
            found = encode(self, texts, *arguments, **options)
        counter.add(1 if isinstance(texts, str) else len(texts))
        return found

    SentenceTransformer.encode = timed


def _cpu_seconds() -> float:
    """CPU of this process, and of its descendants: those that live, and those that were waited for
    (a parser of ours is a child that stays warm)."""
    times: dict[int, tuple[int, int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        times[int(path.parent.name)] = int(fields[1]), sum(map(int, fields[11:15]))
    family = {os.getpid()}
    while more := {pid for pid, (parent, _) in times.items() if parent in family} - family:
        family |= more
    ticks = sum(times[pid][1] for pid in family if pid in times)
    return ticks / os.sysconf("SC_CLK_TCK")


def _peak_rss_mb() -> float:
    # VmHWM, not ru_maxrss: the latter starts at what the parent had before exec
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def documents(folder: str) -> list[tuple[str, list[str], int]]:
    """(name, paragraphs, time of change) of every file: the loader of contenders without one."""
    root = Path(folder)
    return [
        (
            path.relative_to(root).as_posix(),
            path.read_text(encoding="utf-8").split("\n\n"),
            int(path.stat().st_mtime),
        )
        for path in sorted(root.rglob("*.txt"))
    ]
