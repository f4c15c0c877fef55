"""The folder of one parser child. A worker that was killed could not remove it, and a document's
bytes must not stay behind: the next one does."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_PREFIX = "rag-parse-"
_LOCK = "in-use"
# between a folder's making and its lock lie microseconds
_UNLOCKED_S = 60.0


@dataclass(frozen=True, slots=True)
class Scratch:
    """A folder that is ours while this process lives: the kernel lets go of its lock at the end,
    whatever the end is."""

    folder: Path
    _lock: IO[bytes]

    @classmethod
    def make(cls) -> Scratch:
        """A new folder in the system's temporary one; those of dead processes are removed."""
        _remove_orphans(Path(tempfile.gettempdir()))
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        lock = (folder / f"{_LOCK}.new").open("xb")
        fcntl.flock(lock, fcntl.LOCK_EX)
        # under its name it is never seen without the lock
        (folder / f"{_LOCK}.new").rename(folder / _LOCK)
        return cls(folder, lock)

    def remove(self) -> None:
        """Remove the folder and what is in it; a second time does nothing."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.close()


def _remove_orphans(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        try:
            is_ours = folder.lstat().st_uid == os.getuid()
            if is_ours and _is_orphan(folder):
                shutil.rmtree(folder, ignore_errors=True)
        except FileNotFoundError:
            continue  # another process was faster


def _is_orphan(folder: Path) -> bool:
    """Whether the process that made the folder is gone."""
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return time.time() - folder.lstat().st_mtime > _UNLOCKED_S
    except OSError:
        return False  # a link, or no file at all: not as we made it
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True
