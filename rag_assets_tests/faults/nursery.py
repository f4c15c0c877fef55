"""Workers in processes of their own, to be killed."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

from rag.stack.shared_server import module_environment
from rag_assets_tests.faults import worker

TIMEOUT_S = 60.0


@dataclass
class Nursery:
    """`lines` is what workers said: (pid, word, rest)."""

    process: subprocess.Popen[str]
    lines: list[tuple[int, str, str]] = field(default_factory=list)
    _new: queue.Queue[tuple[int, str, str]] = field(default_factory=queue.Queue)

    def start(self) -> int:
        """A worker that has begun to work; its pid."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return self.wait_for("started")[0]

    def wait_for(self, word: str, timeout_s: float = TIMEOUT_S) -> tuple[int, str, str]:
        """The next line that says so."""
        deadline = time.monotonic() + timeout_s
        while True:
            line = self._new.get(timeout=max(0.01, deadline - time.monotonic()))
            if line[1] == word:
                return line

    def said(self, word: str) -> list[str]:
        """The rest of each line with this word."""
        return [rest for _, said, rest in self.lines if said == word]

    def was_at_work(self, pid: int) -> bool:
        """Whether the last a worker said was that a run begins."""
        words = [word for said_by, word, _ in self.lines if said_by == pid]
        return words[-1:] == ["begin"]

    def kill(self, pid: int) -> None:
        """As the kernel does when memory is short."""
        os.kill(pid, signal.SIGKILL)
        self.wait_until_gone(pid)

    def wait_until_gone(self, pid: int) -> None:
        """Return when the worker has ended and its last word is heard."""
        deadline = time.monotonic() + TIMEOUT_S
        while Path(f"/proc/{pid}").exists():
            assert time.monotonic() < deadline, f"worker {pid} does not end"
            time.sleep(0.002)
        time.sleep(0.05)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            pid, word, rest = (*line.split(maxsplit=2), "")[:3]
            self.lines.append((int(pid), word, rest.strip()))
            self._new.put(self.lines[-1])


@contextmanager
def nursery(database_url: str, spool: Path, *options: str) -> Iterator[Nursery]:
    """A process that starts workers; all of them are gone after the block."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            worker.__name__,
            database_url,
            str(spool),
            *options,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=module_environment(),
        start_new_session=True,
    )
    found = Nursery(process)
    reader = Thread(target=found._read)
    reader.start()
    try:
        found.wait_for("ready", 120.0)
        yield found
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(TIMEOUT_S)
        reader.join(TIMEOUT_S)
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()
