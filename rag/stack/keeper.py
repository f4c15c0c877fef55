"""Keeps a shared server: starts it, and stops it when nobody uses it any more.

The keeper is a process of its own, nobody's child and in no terminal's group.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from rag.errors import RagError
from rag.stack.folder import read_record, write_private
from rag.stack.lock import FileLock

_LOOK_S = 0.25
_PREDECESSOR_S = 45.0


class Kept(Protocol):
    """What a keeper keeps."""

    port: int

    @property
    def pid(self) -> int: ...

    def start(self, preferred_port: int) -> None:
        """Accept connections, on the preferred port when it is free."""
        ...

    def is_running(self) -> bool: ...

    def stop(self) -> None:
        """End it; idempotent."""
        ...


def keep(make: Callable[[], Kept], folder: Path, pipe: int) -> int:
    """Keep the server until its last user is gone. Reports on the pipe: `ok`, or an error.

    Returns at once in the process that was started, for which the caller waits.
    """
    if os.fork():
        return 0
    signal.signal(signal.SIGTERM, _leave)
    keeper = Keeper(folder, make())
    with os.fdopen(pipe, "w", encoding="utf-8") as answer:
        try:
            keeper.start()
        except RagError as error:
            answer.write(json.dumps({"code": error.code, "message": error.message}))
            return 1
        answer.write(json.dumps({"code": "ok"}))
    try:
        keeper.watch()
    finally:
        keeper.stop()
    return 0


def _leave(_signal: int, _frame: object) -> None:
    raise SystemExit(0)


class Keeper:
    """One server and the locks of its folder."""

    def __init__(self, folder: Path, server: Kept) -> None:
        self._server = server
        self._state = folder / "server.json"
        self._own = FileLock(folder / "keeper.lock")
        self._users = FileLock(folder / "users.lock")

    def start(self) -> None:
        """A running server, described in server.json."""
        self._own.wait_exclusive(_PREDECESSOR_S)
        previous = read_record(self._state).get("port", 0)
        self._server.start(previous if isinstance(previous, int) else 0)
        self._describe(self._server.pid)

    def watch(self) -> None:
        """Return when the server has ended or its last user has."""
        while self._server.is_running():
            if self._users.try_exclusive():
                return  # and keep the lock: a user that comes now waits until the server is down
            time.sleep(_LOOK_S)

    def stop(self) -> None:
        """Stop the server; the port stays noted, so that the next start can have it again.

        The locks go with the process, so that whoever gets them finds nothing of us left.
        """
        self._describe(0)
        self._server.stop()

    def _describe(self, server_pid: int) -> None:
        if self._state.parent.is_dir():
            record = {"port": self._server.port, "server_pid": server_pid}
            write_private(self._state, json.dumps(record))
