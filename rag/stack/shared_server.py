"""A server that processes share: the first that needs it starts it, the last that ends stops it.

Users hold a shared lock on `users.lock`, which the kernel drops however a user ends. The server's
keeper (see keeper.py) looks whether it can have that lock alone. `start.lock` lets one process at
a time start; `server.json` says where the server is, the keeper's own lock whether to believe it.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from rag.errors import ConfigurationError, RagError, UnavailableError
from rag.stack.folder import ensure_folder, read_record
from rag.stack.lock import FileLock, exclusive
from rag.stack.loopback import answers

_LAUNCH_TIMEOUT_S = 10.0
_START_TIMEOUT_S = 240.0
_STOP_TIMEOUT_S = 60.0
_SETUP_CODES = ("postgres_as_root", "postgres_not_installed")

_held: dict[Path, Claim] = {}


@dataclass(frozen=True, slots=True)
class Claim:
    """This process' use of the server; the server runs at least until `release`."""

    port: int
    _lock: FileLock

    def release(self) -> None:
        self._lock.release()


@dataclass(frozen=True, slots=True)
class SharedServer:
    """The server in one folder, and how to start its keeper."""

    name: str
    module: str
    folder: Path
    log: Path
    arguments: tuple[str, ...] = ()

    def claim(self, after_start: Callable[[int], None] | None = None) -> Claim:
        """Use the server, starting it when it does not run; `after_start` gets the port of a new
        one before anybody else does. Raises ConfigurationError or UnavailableError."""
        ensure_folder(self.folder, 0o711)
        ensure_folder(self.log.parent, 0o755)
        users = FileLock(self.folder / "users.lock")
        try:
            users.wait_shared(_STOP_TIMEOUT_S)
            with exclusive(self.folder / "start.lock", _START_TIMEOUT_S):
                port = self.running_port() or self._start(after_start)
            return Claim(port, users)
        except BaseException:
            users.release()
            raise

    def hold(self, after_start: Callable[[int], None] | None = None) -> int:
        """Claim the server until this process ends; returns its port. Cheap when it runs already,
        starts it again when it was killed."""
        held = _held.get(self.folder)
        if held is not None and self.running_port() == held.port:
            return held.port
        _held[self.folder] = self.claim(after_start)
        if held is not None:
            held.release()
        return _held[self.folder].port

    def running_port(self) -> int:
        """The port of the running server; 0 when none runs."""
        record = read_record(self.folder / "server.json")
        port, pid = record.get("port"), record.get("server_pid")
        if not isinstance(port, int) or not isinstance(pid, int):
            return 0
        return port if self._is_kept() and _lives(pid) and answers(port) else 0

    def check(self) -> None:
        """Raises UnavailableError when the server, which should run, does not."""
        if not self.running_port():
            raise UnavailableError(
                f"The {self.name} ended by itself (log: {self.log}).", code="stack_server_died"
            )

    def wait_until_stopped(self) -> None:
        """Return when the keeper has ended, or at once when others use the server."""
        deadline = monotonic() + _STOP_TIMEOUT_S
        while monotonic() < deadline and self._is_kept():
            probe = FileLock(self.folder / "users.lock")
            has_users = not probe.try_exclusive() and probe.try_shared()  # a keeper is alone
            probe.release()
            if has_users:
                return
            sleep(0.02)

    def _is_kept(self) -> bool:
        """Whether a keeper lives. Its lock tells, not its process id: ids are reused, and an ended
        process whose parent does not care keeps its id."""
        path = self.folder / "keeper.lock"
        if not path.exists():
            return False
        lock = FileLock(path)
        is_free = lock.try_exclusive()
        lock.release()
        return not is_free

    def _start(self, after_start: Callable[[int], None] | None) -> int:
        self._launch_keeper()
        port = self.running_port()
        if not port:
            raise UnavailableError(
                f"The {self.name} ended right after its start (log: {self.log}).",
                code="server_not_started",
            )
        if after_start is not None:
            after_start(port)
        return port

    def _launch_keeper(self) -> None:
        reading, writing = os.pipe()
        command = [sys.executable, "-m", self.module, str(self.folder), str(writing)]
        try:
            with self.log.open("ab") as output:
                subprocess.run(
                    [*command, *self.arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd="/",
                    env=module_environment(),
                    pass_fds=(writing,),
                    start_new_session=True,  # Ctrl-C at the terminal is for the users, not for it
                    timeout=_LAUNCH_TIMEOUT_S,
                    check=False,
                )
        finally:
            os.close(writing)
        with os.fdopen(reading, "r", encoding="utf-8") as answer:
            is_there = select.select([reading], [], [], _START_TIMEOUT_S)[0]
            self._raise_unless_ok(answer.read() if is_there else "")

    def _raise_unless_ok(self, answer: str) -> None:
        reply = json.loads(answer) if answer else {}
        code = reply.get("code", "server_not_started")
        if code == "ok":
            return
        error: type[RagError] = ConfigurationError if code in _SETUP_CODES else UnavailableError
        default = f"The {self.name} did not start (log: {self.log})."
        raise error(reply.get("message", default), code=code)


def module_environment() -> dict[str, str]:
    """The environment for `python -m rag...`, also where the package is not installed."""
    root = str(Path(__file__).resolve().parents[2])
    path = os.environ.get("PYTHONPATH", "")
    return {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{path}" if path else root}


def _lives(pid: int) -> bool:
    """Whether the process runs. A killed server's children hold its port a little longer."""
    import psutil

    try:
        return pid > 0 and bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
