"""What a look at a source means: the plan of work, and whether deletions may go through."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Protocol

from rag.fingerprint import shard_index
from rag.ingest import access_lists
from rag.ingest.access_lists import AccessChange
from rag.model import Shard
from rag.ports import Source
from rag.settings import Settings
from rag.store import manifest
from rag.store.database import Connection
from rag.store.manifest import Change, Difference, Scope


class Found(Sized, Iterable[Difference], Protocol):
    """Differences of one kind."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The difference between a listing and the manifest, sorted by what has to be done."""

    new: Found
    changed: Found
    touched: Found
    vanished: Found
    waiting: int
    listed: int
    is_complete: bool
    listed_at: datetime  # the server's time before the listing began
    access: tuple[AccessChange, ...] = ()

    @property
    def fetches(self) -> int:
        """New and changed objects."""
        return len(self.new) + len(self.changed)

    def fetch(self) -> Iterator[Difference]:
        """New and changed objects."""
        return chain(self.new, self.changed)

    @property
    def unchanged(self) -> int:
        """Objects that need no work."""
        return self.listed - self.fetches - len(self.touched) - self.waiting

    @property
    def is_empty(self) -> bool:
        """Whether a run would change nothing. Objects that vanished from an incomplete listing
        are no work: only a complete one may delete."""
        return not (
            self.fetches or self.touched or self.access or (self.vanished and self.is_complete)
        )

    def counts(self) -> dict[str, int]:
        """Numbers for people, before renames are recognised (that takes the content)."""
        return {
            "new": len(self.new),
            "changed": len(self.changed),
            "metadata_only": len(self.touched),
            "unchanged": self.unchanged,
            "vanished": len(self.vanished),
            "waiting": self.waiting,
            "access_lists": len(self.access),
        }


def look(conn: Connection, scope: Scope, source: Source, shard: Shard | None = None) -> Plan:
    """List the source and compare it (or one shard's part of it) with the manifest: one listing,
    one statement, no change."""
    listed_at = manifest.clock(conn)
    listing, lists = access_lists.apart(source.list())
    if shard is not None and shard.count > 1:
        listing = listing.taking(lambda obj: shard_index(obj.uri, shard.count) == shard.index)
    listed, found = manifest.compare(conn, scope, listing, listed_at)
    return Plan(
        new=found[Change.NEW],
        changed=found[Change.CHANGED],
        touched=found[Change.TOUCHED],
        vanished=found[Change.VANISHED],
        waiting=len(found[Change.WAITING]),
        listed=listed,
        is_complete=listing.is_complete,
        listed_at=listed_at,
        access=access_lists.changes(conn, scope, lists, listing.is_complete, shard),
    )


def deletion_threshold(documents: int, settings: Settings) -> int:
    """How many of a source's documents may vanish at once without tripping the breaker."""
    return max(settings.deletion_floor, int(documents * settings.deletion_share))


def settle_vanished(
    conn: Connection,
    scope: Scope,
    vanished: Sequence[Difference],
    listed_at: datetime,
    settings: Settings,
) -> int:
    """Delete what a complete listing lacks, unless that is suspiciously much: then the breaker
    holds it until a later complete listing or an operator confirms. Returns documents deleted."""
    ids = [item.document_id for item in vanished if item.document_id is not None]
    documents = manifest.count_documents(conn, scope)
    is_mass = len(ids) > deletion_threshold(documents, settings)
    if is_mass and not manifest.is_confirmed(conn, scope, settings.deletion_confirm_s):
        manifest.hold_deletions(conn, scope, ids)
        return 0
    manifest.clear_breaker(conn, scope)
    return manifest.delete_documents(conn, ids, listed_at) if ids else 0
