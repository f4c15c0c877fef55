"""What a look at a source means: the plan of work, and whether deletions may go through."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Protocol

from rag.fingerprint import shard_index
from rag.ingest import access_lists
from rag.ingest.access_lists import AccessChange
from rag.model import Shard, SourceObject
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
    elsewhere: Found = ()  # vanished from other shards: counts in the breaker, no work of ours

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
    """List the source and compare it with the manifest: one listing, one statement, no change. Of
    one shard's look the work is its own; what vanished is known of the whole source."""
    listed_at = manifest.clock(conn)
    listing, lists = access_lists.apart(source.list())

    def is_ours(obj: SourceObject) -> bool:
        if shard is None or shard.count == 1:
            return True
        return shard_index(obj.uri, shard.count) == shard.index

    listed, found = manifest.compare(conn, scope, listing, listed_at, is_ours)
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
        elsewhere=found[Change.ELSEWHERE],
    )


def deletion_threshold(documents: int, settings: Settings) -> int:
    """How many of a source's documents may vanish at once without tripping the breaker."""
    return max(settings.deletion_floor, int(documents * settings.deletion_share))


def settle_vanished(
    conn: Connection,
    scope: Scope,
    vanished: Iterable[Difference],
    elsewhere: Iterable[Difference],
    listed_at: datetime,
    settings: Settings,
) -> int:
    """Delete what a complete listing lacks, unless that is suspiciously much of the source, in all
    its shards: then the breaker holds it until a later complete listing or an operator confirms.
    What they confirm is what was held then; the rest is judged anew. Returns documents deleted."""
    ours, others = _ids(vanished), _ids(elsewhere)
    is_tripped = manifest.is_tripped(conn, scope)
    if not (ours or others or is_tripped):
        return 0
    released = manifest.released(conn, scope, settings.deletion_confirm_s) if is_tripped else {}
    waiting = [each for each in (*ours, *others) if each not in released]
    documents = manifest.count_documents(conn, scope)
    if len(waiting) > deletion_threshold(documents, settings):
        manifest.hold_deletions(conn, scope, waiting, listed_at)
        ours = [each for each in ours if each in released]
    elif any(each in released for each in others):
        manifest.hold_deletions(conn, scope, (), listed_at)  # theirs stays confirmed
    elif is_tripped:
        manifest.clear_breaker(conn, scope)
    return manifest.delete_documents(conn, ours, listed_at) if ours else 0


def _ids(found: Iterable[Difference]) -> list[int]:
    return [item.document_id for item in found if item.document_id is not None]
