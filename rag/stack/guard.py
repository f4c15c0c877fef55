"""A process between us and a server, which sees to it that nothing of the server outlives us.

`python -m rag.stack.guard GRACE_S COMMAND...` runs the command as its child. When its standard
input closes (we ended, in whatever way), on SIGTERM, or when the command ends, it ends all
descendants of the command, also those whose parents are gone: on Linux orphans become its own
children. It exits with the command's status.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable

from rag.stack.unprivileged import child_setup

_PR_SET_CHILD_SUBREAPER = 36
_LOOK_S = 0.1
_STRAGGLER_S = 5.0


def main(arguments: list[str]) -> int:
    """Run the command until it ends or we are told to end it."""
    guard = Guard(float(arguments[0]))
    signal.signal(signal.SIGTERM, guard.ask_to_stop)
    signal.signal(signal.SIGINT, guard.ask_to_stop)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    return guard.run(arguments[1:])


class Guard:
    """One command and everything it starts."""

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self._stop = False
        self._child = 0
        self._status: int | None = None

    def ask_to_stop(self, _signal: int, _frame: object) -> None:
        self._stop = True

    def run(self, command: list[str]) -> int:
        """The command's exit status, once nothing of it is left."""
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, preexec_fn=child_setup(None, signal.SIGTERM)
        )
        self._child = process.pid
        while self._status is None and not self._stop:
            self._stop = self._stop or _input_closed()
            self._reap()
        self._end_all()
        process.returncode = self._status  # reaped by us: Popen need not look for it
        status = self._status or 0
        return 128 - status if status < 0 else status

    def _end_all(self) -> None:
        if self._status is None:
            os.kill(self._child, signal.SIGTERM)
            self._wait(lambda: self._status is not None, self._grace_s)
        for stop_signal, patience_s in (
            (signal.SIGTERM, self._grace_s),
            (signal.SIGKILL, _STRAGGLER_S),
        ):
            _signal_all(stop_signal)
            if self._wait(lambda: not _descendants(), patience_s):
                return

    def _wait(self, is_done: Callable[[], bool], timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while not is_done():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
            self._reap()
        return True

    def _reap(self) -> None:
        """Collect whichever child has ended, adopted ones too."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._child:
                self._status = os.waitstatus_to_exitcode(status)


def _input_closed() -> bool:
    readable, _, _ = select.select([0], [], [], _LOOK_S)
    return bool(readable) and os.read(0, 1) == b""


def _descendants() -> list[int]:
    import psutil

    return [child.pid for child in psutil.Process().children(recursive=True)]


def _signal_all(stop_signal: signal.Signals) -> None:
    for pid in _descendants():
        try:
            os.kill(pid, stop_signal)
        except ProcessLookupError:
            continue  # it ended meanwhile, as wished


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
