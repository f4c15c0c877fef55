"""Looking for processes that a test must not leave behind."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from rag.stack.shared_server import module_environment


def using(folder: Path) -> list[str]:
    """Command lines of the processes that work for a stack in this folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = " ".join(process.info["cmdline"] or [])
        if str(folder) in words and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(words)
    return found


def pid_of(folder: Path, module: str) -> int:
    """The one process that runs `python -m module` for a stack in this folder."""
    found = [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if (words := process.info["cmdline"] or [])[1:3] == ["-m", module]
        and str(folder) in " ".join(words)
    ]
    assert len(found) == 1, (module, using(folder))
    return found[0]


def eventually(claim: Callable[[], bool], timeout_s: float = 60.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while not claim():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def python(code: str, *arguments: str) -> subprocess.Popen[str]:
    """Another process that runs the code; its output can be read, its input closed."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=module_environment(),
    )
