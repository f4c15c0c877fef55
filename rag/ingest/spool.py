"""Fetched files between the look at a source and the parser, by the hash of their content."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from rag.errors import TransientError

# What a killed worker left behind is removed after this time; where room is scarce soon, for what
# waited longer is fetched again.
_LEFTOVER_S = 86_400.0
_MEMORY_LEFTOVER_S = 900.0
# Small files wait in memory: making two thousand on a disk took up to 3.7 s, and 0.05 s here. A
# container's /dev/shm has 64 MB unless it is told otherwise.
_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own in it, checked
_MEMORY_BYTES = 32 * 1024**2
_SMALL_BYTES = 256 * 1024


@dataclass(slots=True)
class _Shelf:
    """One folder of the spool and how much it may hold; several spools share the one in memory,
    each under a prefix of its own."""

    folder: Path
    limit_bytes: int
    prefix: str = ""
    leftover_s: float = _LEFTOVER_S
    used_bytes: int = 0

    def __post_init__(self) -> None:
        for path in list(self.folder.glob("*")):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue  # another run has just taken it
            if status.st_mtime < time.time() - self.leftover_s:
                path.unlink(missing_ok=True)
            else:
                self.used_bytes += status.st_size

    def has_room(self, size_bytes: int) -> bool:
        return self.used_bytes + size_bytes <= self.limit_bytes

    def of_content(self, content_hash: bytes) -> Path:
        return self.folder / f"{self.prefix}{content_hash.hex()}"

    def fresh(self, kind: str) -> Path:
        return self.folder / f"{self.prefix}{kind}-{uuid4().hex}"


@dataclass(slots=True)
class Spool:
    """A folder that holds about `limit_bytes` of fetched files, small ones in memory; what does
    not fit is fetched again when the parser wants it. Any number of runs share one folder."""

    folder: Path
    limit_bytes: int = 2 * 1024**3
    _shelves: list[_Shelf] = field(init=False)

    def __post_init__(self) -> None:
        self._shelves = [_Shelf(self.folder, self.limit_bytes)]
        memory = _memory_folder()
        if memory is not None:
            prefix = hashlib.sha256(os.fsencode(self.folder.absolute())).hexdigest()[:16] + "-"
            limit_bytes = min(_MEMORY_BYTES, self.limit_bytes)
            self._shelves.insert(0, _Shelf(memory, limit_bytes, prefix, _MEMORY_LEFTOVER_S))

    def take(self, content_hash: bytes) -> Path | None:
        """The file of this content for the caller alone, who drops it; None when it is not here."""
        for shelf in self._shelves:
            try:
                return shelf.of_content(content_hash).rename(shelf.fresh("own"))
            except FileNotFoundError:
                continue
        return None

    def take_incoming(self, incoming: Path) -> Path:
        """A fetched file for the caller alone, who drops it."""
        shelf = self._shelf_of(incoming)
        shelf.used_bytes += incoming.stat().st_size
        return incoming.rename(shelf.fresh("own"))

    def give_back(self, taken: Path, content_hash: bytes) -> None:
        """A taken file is wanted once more, by whoever takes it next."""
        taken.replace(self._shelf_of(taken).of_content(content_hash))

    @contextmanager
    def incoming(self, size_bytes: int) -> Iterator[Path]:
        """A fresh path to fetch so many bytes into; whatever is still there afterwards is removed.

        The file is the source's to make: making it here as well doubles the cost of a small one."""
        path = self._shelf_for(size_bytes).fresh("in")
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def keep(self, incoming: Path) -> bytes:
        """Hash a fetched file and keep it if there is room; returns its content hash."""
        content_hash = sha256_of(incoming)
        size, shelf = incoming.stat().st_size, self._shelf_of(incoming)
        if shelf.has_room(size):
            incoming.replace(shelf.of_content(content_hash))
            shelf.used_bytes += size
        return content_hash

    def drop(self, taken: Path) -> None:
        """The parser is done with a taken file."""
        self._shelf_of(taken).used_bytes -= taken.stat().st_size
        taken.unlink()

    def discard(self, content_hash: bytes) -> bool:
        """Nobody wants this content any more; whether it was here. Whoever does after all fetches
        it again."""
        taken = self.take(content_hash)
        if taken is not None:
            self.drop(taken)
        return taken is not None

    def _shelf_for(self, size_bytes: int) -> _Shelf:
        memory, disk = self._shelves[0], self._shelves[-1]
        if memory is not disk and size_bytes <= _SMALL_BYTES and memory.has_room(size_bytes):
            free = os.statvfs(memory.folder)
            if free.f_bavail * free.f_frsize > _MEMORY_BYTES // 2:
                return memory
        try:
            disk.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TransientError(
                f"Folder '{disk.folder}' can not be made ({error.strerror}): free space there, or "
                "set RAG_HOME to a folder with space.",
                code="disk_full",
            ) from error
        return disk

    def _shelf_of(self, path: Path) -> _Shelf:
        folder = os.path.dirname(path)  # noqa: PTH120 - several times as fast, and asked for each file
        return next(shelf for shelf in self._shelves if str(shelf.folder) == folder)


def _memory_folder() -> Path | None:
    """A folder in memory for this user alone; None where there is none to be had."""
    folder = _MEMORY / f"rag-spool-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return None
    is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
    return folder if is_ours and not status.st_mode & 0o077 else None


def sha256_of(path: Path) -> bytes:
    """SHA-256 of a file's bytes."""
    with path.open("rb", buffering=0) as file:
        if os.fstat(file.fileno()).st_size <= _SMALL_BYTES:
            return hashlib.sha256(file.read()).digest()
        # its buffer costs more than a small file
        return hashlib.file_digest(file, "sha256").digest()
