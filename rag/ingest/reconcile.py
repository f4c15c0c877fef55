"""What a look at a source means: the plan of work, and whether deletions may go through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from rag.fingerprint import shard_index
from rag.ingest import access_lists
from rag.ingest.access_lists import AccessChange
from rag.model import Listing, Shard, SourceObject
from rag.ports import Source
from rag.settings import Settings
from rag.store import manifest
from rag.store.database import Connection
from rag.store.manifest import Change, Difference, Scope


@dataclass(frozen=True, slots=True)
class Plan:
    """The difference between a listing and the manifest, sorted by what has to be done."""

    fetch: tuple[Difference, ...]  # new and changed objects
    touched: tuple[SourceObject, ...]
    waiting: int
    vanished: tuple[Difference, ...]
    listed: int
    is_complete: bool
    listed_at: datetime  # the server's time before the listing began
    access: tuple[AccessChange, ...] = ()

    @property
    def unchanged(self) -> int:
        """Objects that need no work."""
        return self.listed - len(self.fetch) - len(self.touched) - self.waiting

    @property
    def is_empty(self) -> bool:
        """Whether a run would change nothing. Objects that vanished from an incomplete listing
        are no work: only a complete one may delete."""
        return not (
            self.fetch or self.touched or self.access or (self.vanished and self.is_complete)
        )

    def counts(self) -> dict[str, int]:
        """Numbers for people, before renames are recognised (that takes the content)."""
        changes = [item.change for item in self.fetch]
        return {
            "new": changes.count(Change.NEW),
            "changed": changes.count(Change.CHANGED),
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
    listing, lists = access_lists.split(source.list())
    if shard is not None:
        listing = objects_of_shard(listing, shard)
    plan = make_plan(manifest.diff(conn, scope, listing.objects, listed_at), listing, listed_at)
    access = access_lists.changes(conn, scope, lists, listing.is_complete, shard)
    return replace(plan, access=access) if access else plan


def make_plan(differences: Sequence[Difference], listing: Listing, listed_at: datetime) -> Plan:
    """Sort differences by what has to be done."""
    by_change: dict[Change, list[Difference]] = {change: [] for change in Change}
    for item in differences:
        by_change[item.change].append(item)
    return Plan(
        fetch=(*by_change[Change.NEW], *by_change[Change.CHANGED]),
        touched=tuple(item.obj for item in by_change[Change.TOUCHED]),
        waiting=len(by_change[Change.WAITING]),
        vanished=tuple(by_change[Change.VANISHED]),
        listed=len(listing.objects),
        is_complete=listing.is_complete,
        listed_at=listed_at,
    )


def objects_of_shard(listing: Listing, shard: Shard) -> Listing:
    """The part of a listing that belongs to one shard."""
    if shard.count == 1:
        return listing
    objects = tuple(
        obj for obj in listing.objects if shard_index(obj.uri, shard.count) == shard.index
    )
    return Listing(objects, listing.is_complete)


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
