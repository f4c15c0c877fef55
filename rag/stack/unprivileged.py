"""Starting a server that refuses to run as root, when we are root.

PostgreSQL will not run as root. Then it runs as `nobody`, and owns nothing but its data folder.
When a folder above its data or its programs is closed to others (/root, a private temporary
folder), nobody could not even reach them; rather than opening those folders to everyone, the
server's process keeps one capability, to pass by permissions of files.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import stat
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from rag.errors import ConfigurationError

_CAP_DAC_OVERRIDE = 1
_CAPABILITY_VERSION = 0x20080522
_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2


@dataclass(frozen=True, slots=True)
class Account:
    """Who a server runs as; `passes_permissions` when it could not reach its folders else."""

    uid: int
    gid: int
    passes_permissions: bool


def server_account(paths: Iterable[Path]) -> Account | None:
    """The account for a server that needs these paths; None when we are not root."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        raise ConfigurationError(
            "PostgreSQL does not run as root and there is no user `nobody` to run it as: start "
            "as an ordinary user, or set RAG_DATABASE_URL to a server of yours.",
            code="postgres_as_root",
        ) from None
    return Account(entry.pw_uid, entry.pw_gid, not all(map(_is_open_to_others, paths)))


def _is_open_to_others(path: Path) -> bool:
    folders = path.resolve().parents
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in folders if folder.exists())


def child_setup(account: Account | None, parent_death: signal.Signals) -> Callable[[], None]:
    """What a forked child runs before its program: becomes the account, and dies with its parent.

    Only for single-threaded parents: the C calls are looked up beforehand, but a fork of a
    threaded process must not run Python at all.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def setup() -> None:
        if account is not None:
            _become(libc, account)
        if sys.platform == "linux":
            # After the change of user, which clears it.
            libc.prctl(_PR_SET_PDEATHSIG, int(parent_death), 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)

    return setup


def _become(libc: ctypes.CDLL, account: Account) -> None:
    if account.passes_permissions:
        libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(account.gid)
    os.setuid(account.uid)
    if account.passes_permissions:
        _keep_capability(libc, _CAP_DAC_OVERRIDE)


def _keep_capability(libc: ctypes.CDLL, capability: int) -> None:
    """Failure is left to show itself: the program then reports which folder it can not reach."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    bit = 1 << capability
    data = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)  # effective, permitted, inheritable
    libc.capset(header, data)
    libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability, 0, 0)
