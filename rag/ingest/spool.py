"""Fetched files between the look at a source and the parser, by the hash of their content."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_BLOCK = 1024 * 1024


@dataclass(slots=True)
class Spool:
    """A folder that holds about `limit_bytes` of fetched files; what does not fit is fetched
    again when the parser wants it."""

    folder: Path
    limit_bytes: int = 2 * 1024**3
    _used_bytes: int = 0

    def __post_init__(self) -> None:
        if self.folder.is_dir():
            self._used_bytes = sum(path.stat().st_size for path in self.folder.iterdir())

    def path(self, content_hash: bytes) -> Path:
        """Where the file of this content is, or would be."""
        return self.folder / content_hash.hex()

    @contextmanager
    def incoming(self) -> Iterator[Path]:
        """A fresh path to fetch into; whatever is still there afterwards is removed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self.folder, prefix="in-", delete=False) as file:
            path = Path(file.name)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def keep(self, incoming: Path) -> bytes:
        """Hash a fetched file and keep it if there is room; returns its content hash."""
        content_hash = sha256_of(incoming)
        size = incoming.stat().st_size
        if self._used_bytes + size <= self.limit_bytes:
            incoming.replace(self.path(content_hash))
            self._used_bytes += size
        return content_hash

    def drop(self, content_hash: bytes) -> None:
        """The parser is done with this content."""
        path = self.path(content_hash)
        if path.exists():
            self._used_bytes -= path.stat().st_size
            path.unlink()


def sha256_of(path: Path) -> bytes:
    """SHA-256 of a file's bytes."""
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            hasher.update(block)
    return hasher.digest()
