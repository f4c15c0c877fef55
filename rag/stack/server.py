"""A server of the stack as its starter sees it: a guarded process with a log."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rag.errors import UnavailableError
from rag.stack.folder import tail
from rag.stack.shared_server import module_environment

_LOOK_S = 0.05
_GRACE_S = 10.0
_CUT_LOG_BYTES = 8 << 20


class Server:
    """A named child process. It and all its descendants end when `stop` is called, or we end."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        *,
        grace_s: float = _GRACE_S,
    ) -> None:
        self.name = name
        self.log = log
        self._grace_s = grace_s
        self._process = self._launch(list(command), {**module_environment(), **environment})

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def status(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.poll()

    def is_running(self) -> bool:
        return self.status is None

    def wait_ready(self, is_ready: Callable[[], bool], timeout_s: float) -> None:
        """Return when it is ready. Raises UnavailableError with the end of its log when it dies."""
        deadline = time.monotonic() + timeout_s
        while not is_ready():
            self.check()
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"The {self.name} is not ready after {timeout_s:.0f} s (log: {self.log}).",
                    code="stack_not_ready",
                )
            time.sleep(_LOOK_S)

    def check(self) -> None:
        """Raises UnavailableError when the process has ended by itself."""
        status = self._process.poll()
        if status is None:
            return
        last = tail(self.log, 1).strip() or "nothing"
        raise UnavailableError(
            f"The {self.name} ended with status {status}; its log {self.log} ends with: {last}",
            code="stack_server_died",
            log_tail=tail(self.log),
        )

    def ask_to_stop(self) -> None:
        """Begin to stop; returns at once."""
        if self._process.stdin is not None:
            self._process.stdin.close()

    def stop(self) -> None:
        """Stop it and everything it started; idempotent."""
        self.ask_to_stop()
        try:
            self._process.wait(timeout=2 * self._grace_s + _GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=_GRACE_S)

    def _launch(self, command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
        if self.log.exists() and self.log.stat().st_size > _CUT_LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.old"))
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "rag.stack.guard", str(self._grace_s), *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,  # Ctrl-C at the terminal reaches us, and we stop in order
            )
