from __future__ import annotations

import sys
import time
from pathlib import Path

import psutil
import pytest

from rag.errors import UnavailableError
from rag.stack.server import Server
from rag_assets_tests.stack.processes import eventually, python, using

pytestmark = pytest.mark.slow

# A child that ignores SIGTERM and whose parent is gone: what an unattended worker is like.
_FAMILY = """
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        open(sys.argv[1] + "/orphan", "w").write(str(os.getpid()))
        time.sleep(600)
    os._exit(0)
time.sleep(600)
"""
_SUPERVISOR = """
import sys
from pathlib import Path
from rag.stack.server import Server
folder = Path(sys.argv[1])
server = Server("family", [sys.executable, "-c", sys.argv[2], str(folder)], folder / "log", {})
print("started", flush=True)
sys.stdin.read()
"""


def family(folder: Path) -> Server:
    server = Server("family", [sys.executable, "-c", _FAMILY, str(folder)], folder / "log", {})
    assert eventually(lambda: (folder / "orphan").exists())
    return server


def test_stopping_ends_orphaned_descendants_too(
    temporary_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.stack.server._GRACE_S", 0.5)
    server = family(temporary_home)
    assert len(using(temporary_home)) == 3
    server.stop()
    server.stop()
    assert not using(temporary_home)


def test_a_killed_starter_takes_the_whole_family_with_it(temporary_home: Path) -> None:
    starter = python(_SUPERVISOR, str(temporary_home), _FAMILY)
    assert eventually(lambda: (temporary_home / "orphan").exists())
    starter.kill()
    starter.communicate(timeout=10)
    assert eventually(lambda: not using(temporary_home), 30.0)


def test_a_killed_guard_takes_its_server_with_it(temporary_home: Path) -> None:
    sleeper = [sys.executable, "-c", "import time; time.sleep(600)", str(temporary_home)]
    server = Server("sleeper", sleeper, temporary_home / "log", {})
    assert eventually(lambda: len(psutil.Process(server.pid).children()) == 1)
    psutil.Process(server.pid).kill()
    assert eventually(lambda: not using(temporary_home))
    server.stop()


def test_a_server_that_dies_is_named_with_the_end_of_its_log(temporary_home: Path) -> None:
    code = "import sys; print('first'); sys.exit('out of paper')"
    server = Server("printer", [sys.executable, "-c", code], temporary_home / "log", {})
    with pytest.raises(UnavailableError, match=r"printer ended with status 1.*out of paper"):
        server.wait_ready(lambda: False, 20.0)
    server.stop()


def test_a_server_that_never_gets_ready_is_an_error(temporary_home: Path) -> None:
    server = Server("sleeper", ["sleep", "600"], temporary_home / "log", {})
    begun = time.monotonic()
    with pytest.raises(UnavailableError, match="not ready after"):
        server.wait_ready(lambda: False, 0.3)
    assert time.monotonic() - begun < 5
    server.stop()
