"""What the parser child gives up before it reads a byte of a document. Runs in the child only."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

from rag.parse.limits import MIB, ParseLimits

_CLONE_NEWNET = 0x40000000
_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_NETWORK_EVENTS = frozenset(
    {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.bind"}
)


class NetworkForbidden(OSError):
    """Raised by the guard when a parser tries to use the network."""


def confine(
    limits: ParseLimits, temporary: Path | None, models: Path | None = None
) -> dict[str, str]:
    """Give up network, core dumps, big files and many handles; die with the parent.

    Returns what holds, by name: `network` is `namespace` (kernel) or `guard` (Python only),
    `files` is `landlock` (kernel: only `temporary` may be written, only the runtime read) or
    `none`. Without `temporary` files are not restricted."""
    _die_with_parent()
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, limits.temporary_bytes)
    _limit(resource.RLIMIT_NOFILE, limits.open_files)
    _limit(resource.RLIMIT_CPU, int(limits.wall_cap_s * limits.recycle_after))
    _guard_network()
    return {
        "network": "namespace" if _leave_network() else "guard",
        "files": "landlock" if temporary and _restrict_files(temporary, models) else "none",
    }


def limit_address_space(limits: ParseLimits) -> None:
    """Cap what malloc may promise: twice the memory budget above what is mapped already. The
    parent's watchdog on resident memory is the real limit; this one turns the jumps it would be
    too slow for into a MemoryError. Not used with layout models: they map more than they use."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    mapped = pages * resource.getpagesize()
    _limit(resource.RLIMIT_AS, mapped + 2 * limits.memory_bytes + 256 * MIB)


def _limit(what: int, value: int) -> None:
    _, hard = resource.getrlimit(what)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(what, (value, value))


def _die_with_parent() -> None:
    """Ask the kernel for SIGKILL when the worker's thread that owns us ends."""
    parent = os.getppid()
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _leave_network() -> bool:
    """Move into an empty network namespace; False where the kernel does not permit it."""
    libc = ctypes.CDLL(None, use_errno=True)
    return any(
        libc.unshare(flags) == 0 for flags in (_CLONE_NEWNET, _CLONE_NEWUSER | _CLONE_NEWNET)
    )


def _guard_network() -> None:
    """Refuse network calls of Python code, whatever the kernel permits; an audit hook can not be
    taken out again."""

    def refuse(event: str, arguments: tuple[object, ...]) -> None:
        if event in _NETWORK_EVENTS:
            raise NetworkForbidden(f"{event} is not allowed while parsing ({len(arguments)})")

    sys.addaudithook(refuse)


def _restrict_files(temporary: Path, models: Path | None) -> bool:
    from rag.parse import landlock

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    readable = (*_readable(), models) if models and models.exists() else _readable()
    return landlock.restrict(readable=readable, writable=(temporary, Path("/dev/null")))


def _readable() -> tuple[Path, ...]:
    """What an interpreter, its packages and a converter need; no home, no /etc/passwd."""
    names = {"/usr", "/lib", "/lib64", "/bin", "/opt", "/proc/self", "/proc/sys", "/proc/stat"}
    names |= {"/proc/cpuinfo", "/proc/meminfo", "/sys/fs/cgroup", "/sys/devices/system"}
    names |= {"/dev/urandom", "/dev/random", "/dev/zero", "/etc/fonts", "/etc/localtime"}
    names |= {"/etc/ld.so.cache", "/etc/mime.types", "/etc/ssl", "/etc/ld.so.conf"}
    names |= {
        "/var/lib/libreoffice",
        "/etc/ld.so.conf",
        "/etc/alternatives",
        sys.prefix,
        sys.base_prefix,
    }
    names |= {entry for entry in sys.path if entry}
    return tuple(path for path in map(Path, sorted(names)) if path.exists())
