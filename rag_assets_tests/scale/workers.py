"""Ray's worker processes, and one of them killed in the middle of its work."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil


def working(what: str) -> list[psutil.Process]:
    """The worker processes of our own nodes that do `what` now: Ray names a process after what it
    runs. Another test process may have a cluster, too."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            title = "".join(process.cmdline()[:1])
            if title.startswith("ray::") and what in title and "IDLE" not in title:
                found.append(process)
    return found


@contextmanager
def killed_while_working(what: str, after_s: float = 0.3) -> Iterator[list[int]]:
    """Kills one worker with SIGKILL once it was seen at `what` for a while; the pids killed."""
    killed: list[int] = []
    is_over = threading.Event()

    def watch() -> None:
        seen: dict[int, float] = {}
        while not is_over.wait(0.02):
            now = time.monotonic()
            at_work = {process.pid: process for process in working(what)}
            seen = {pid: seen.get(pid, now) for pid in at_work}
            for pid, since in seen.items():
                if now - since >= after_s:
                    at_work[pid].kill()
                    killed.append(pid)
                    return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield killed
    finally:
        is_over.set()
        thread.join()
