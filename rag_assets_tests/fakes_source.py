"""A source in memory, with the faults of real ones on demand."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rag.errors import RagError, TransientError
from rag.model import Listing, SourceObject

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class FakeSource:
    """`put`, `delete` and `rename` change it; `is_complete`, `errors` (by name) and `fetched`
    make and show what a test needs."""

    uri: str = "fake://bucket/"
    objects: dict[str, tuple[bytes, str, datetime]] = field(default_factory=dict)
    is_complete: bool = True
    errors: dict[str, RagError] = field(default_factory=dict)
    list_error: RagError | None = None
    fetched: list[str] = field(default_factory=list)
    _tick: itertools.count[int] = field(default_factory=itertools.count)

    def put(self, name: str, data: bytes, at: datetime | None = None) -> None:
        """Write or overwrite an object; each write has an etag of its own."""
        tick = next(self._tick)
        self.objects[name] = (data, f"etag-{tick}", at or START + timedelta(seconds=tick // 3))

    def delete(self, name: str) -> None:
        """Remove an object."""
        del self.objects[name]

    def rename(self, old: str, new: str) -> None:
        """Move an object; as in S3, the new one has a time of its own."""
        data, _, _ = self.objects.pop(old)
        self.put(new, data)

    def list(self) -> Listing:
        """Everything in it now, by name."""
        if self.list_error is not None:
            raise self.list_error
        return Listing(
            tuple(
                SourceObject(self.uri + name, etag, len(data), modified)
                for name, (data, etag, modified) in sorted(self.objects.items())
            ),
            self.is_complete,
        )

    def fetch(self, obj: SourceObject, target: Path) -> None:
        """The bytes the listing described, or the error a real source gives."""
        name = obj.uri.removeprefix(self.uri)
        if name in self.errors:
            raise self.errors[name]
        if name not in self.objects:
            raise TransientError(f"{name} is gone: the next look decides.", code="object_gone")
        data, etag, _ = self.objects[name]
        if etag != obj.etag:
            raise TransientError(f"{name} changed: the next look sees it.", code="object_changed")
        self.fetched.append(name)
        target.write_bytes(data)
