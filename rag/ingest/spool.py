"""Fetched files between the look at a source and the parser, by the hash of their content."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from rag.errors import TransientError

_BLOCK = 1024 * 1024
# what a killed worker left behind is removed after this time
_LEFTOVER_S = 86_400.0


@dataclass(slots=True)
class Spool:
    """A folder that holds about `limit_bytes` of fetched files; what does not fit is fetched
    again when the parser wants it. Any number of runs share one folder."""

    folder: Path
    limit_bytes: int = 2 * 1024**3
    _used_bytes: int = 0

    def __post_init__(self) -> None:
        for path in list(self.folder.glob("*")):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue  # another run has just taken it
            if status.st_mtime < time.time() - _LEFTOVER_S:
                path.unlink(missing_ok=True)
            else:
                self._used_bytes += status.st_size

    def take(self, content_hash: bytes) -> Path | None:
        """The file of this content for the caller alone, who drops it; None when it is not here."""
        try:
            return self._own(self.folder / content_hash.hex())
        except FileNotFoundError:
            return None

    def take_incoming(self, incoming: Path) -> Path:
        """A fetched file for the caller alone, who drops it."""
        self._used_bytes += incoming.stat().st_size
        return self._own(incoming)

    def _own(self, path: Path) -> Path:
        return path.rename(self.folder / f"own-{uuid4().hex}")

    def give_back(self, taken: Path, content_hash: bytes) -> None:
        """A taken file is wanted once more, by whoever takes it next."""
        taken.replace(self.folder / content_hash.hex())

    @contextmanager
    def incoming(self) -> Iterator[Path]:
        """A fresh path to fetch into; whatever is still there afterwards is removed.

        The file is the source's to make: making it here as well doubles the cost of a small one."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TransientError(
                f"Folder '{self.folder}' can not be made ({error.strerror}): free space there, or "
                "set RAG_HOME to a folder with space.",
                code="disk_full",
            ) from error
        path = self.folder / f"in-{uuid4().hex}"
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def keep(self, incoming: Path) -> bytes:
        """Hash a fetched file and keep it if there is room; returns its content hash."""
        content_hash = sha256_of(incoming)
        size = incoming.stat().st_size
        if self._used_bytes + size <= self.limit_bytes:
            incoming.replace(self.folder / content_hash.hex())
            self._used_bytes += size
        return content_hash

    def drop(self, taken: Path) -> None:
        """The parser is done with a taken file."""
        self._used_bytes -= taken.stat().st_size
        taken.unlink()


def sha256_of(path: Path) -> bytes:
    """SHA-256 of a file's bytes."""
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            hasher.update(block)
    return hasher.digest()
