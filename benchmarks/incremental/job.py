"""What the harness asks a contender's process to do, and what the process answers.

Imported by every contender in its own environment: standard library only.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit


@dataclass(frozen=True, slots=True)
class Job:
    """Bring the index in `url` up to date with `folder`. `step` is `prepare` (make tables; not
    timed) or `update`."""

    step: str
    url: str
    folder: str
    state: str
    counter: str
    model: str

    @property
    def started(self) -> Path:
        """A file that is there from the moment the clock runs."""
        return Path(self.counter + ".started")

    def driver_url(self, driver: str) -> str:
        """The database's URL in SQLAlchemy's form."""
        return urlunsplit(urlsplit(self.url)._replace(scheme=f"postgresql+{driver}"))


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the step went: seconds of wall and of this process's CPU, peak memory."""

    seconds: float
    cpu_seconds: float
    peak_rss_mb: float


def contender(prepare: Callable[[Job], None], update: Callable[[Job], None]) -> None:
    """The main function of a contender: everything is imported before the clock starts."""
    job = Job(**json.loads(sys.argv[1]))
    step = {"prepare": prepare, "update": update}[job.step]
    job.started.touch()
    wall, cpu = time.perf_counter(), time.process_time()
    step(job)
    outcome = Outcome(time.perf_counter() - wall, time.process_time() - cpu, _peak_rss_mb())
    print("\n" + json.dumps(asdict(outcome)), flush=True)


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
