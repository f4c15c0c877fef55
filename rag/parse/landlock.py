"""Linux Landlock through its system calls: from here on, files only below the paths named."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_EXECUTE, _WRITE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_ALL_V1 = (1 << 13) - 1
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_ON_FILES = _EXECUTE | _WRITE | _READ_FILE | _TRUNCATE


def restrict(readable: Iterable[Path], writable: Iterable[Path]) -> bool:
    """Confine this process and its descendants for ever; False where Landlock is missing.

    `readable` may be read and executed, `writable` also written. Needs no_new_privs."""
    libc = ctypes.CDLL(None, use_errno=True)
    abi = libc.syscall(_CREATE, None, 0, 1)
    if abi < 1:
        return False
    handled = _ALL_V1 | (_REFER if abi >= 2 else 0) | (_TRUNCATE if abi >= 3 else 0)
    attributes = ctypes.create_string_buffer(struct.pack("<Q", handled))
    ruleset = libc.syscall(_CREATE, attributes, 8, 0)
    if ruleset < 0:
        return False
    try:
        for path in readable:
            _allow(libc, ruleset, path, _EXECUTE | _READ_FILE | _READ_DIR)
        for path in writable:
            _allow(libc, ruleset, path, handled & ~_REFER)
        return bool(libc.syscall(_RESTRICT, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path, access: int) -> None:
    handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not path.is_dir():
            access &= _ON_FILES
        rule = ctypes.create_string_buffer(struct.pack("<Qi", access, handle))
        libc.syscall(_ADD, ruleset, 1, rule, 0)
    finally:
        os.close(handle)
