"""Which shards have work, found by comparing listings with the manifest. It reads; runs write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from rag.fingerprint import digest, shard_index
from rag.model import CollectionName, Shard

if TYPE_CHECKING:
    from rag.ingest.reconcile import Plan
    from rag.settings import Settings
    from rag.store.collections import Collection
    from rag.store.database import Connection, Row
    from rag.store.manifest import Scope


@dataclass(slots=True)
class ShardWork:
    """What waits in one shard. `items` name it: equal items, equal work."""

    shard: Shard
    items: set[str] = field(default_factory=set)
    reasons: list[str] = field(default_factory=list)

    def add(self, item: str, reason: str) -> None:
        self.items.add(item)
        self.reasons.append(reason)


def collection_of(row: Row) -> CollectionName:
    """The collection of an `all_sources` row."""
    return CollectionName(row["namespace"], row["collection"])


def listed_work(
    conn: Connection, settings: Settings, collection: Collection, row: Row, plan: Plan
) -> Iterator[tuple[Shard, str, str]]:
    """(shard, item, reason) for each shard that a look at one source asks to be run."""
    from rag.store import manifest

    released: Counter[int] = Counter()
    if plan.vanished:
        found = manifest.released(conn, scope_of(collection, row), settings.deletion_confirm_s)
        released.update(found.values())
    for shard in collection.shard_list():
        part = _part(plan, shard)
        if not part.is_empty:
            yield (
                shard,
                f"{row['id']}:{_digest(part, released[shard.index])}",
                f"{row['uri']}: {_words(part)}",
            )


def scope_of(collection: Collection, row: Row) -> Scope:
    """One source, seen from all shards of its collection."""
    from rag.store.manifest import Scope

    return Scope(collection.id, row["id"], tuple(range(collection.shards)))


def _part(plan: Plan, shard: Shard) -> Plan:
    """What of the plan falls to one shard."""
    if shard.count == 1:
        return plan

    def is_ours(uri: str) -> bool:
        return shard_index(uri, shard.count) == shard.index

    return replace(
        plan,
        new=tuple(item for item in plan.new if is_ours(item.obj.uri)),
        changed=tuple(item for item in plan.changed if is_ours(item.obj.uri)),
        touched=tuple(item for item in plan.touched if is_ours(item.obj.uri)),
        vanished=tuple(item for item in plan.vanished if is_ours(item.obj.uri)),
        access=tuple(change for change in plan.access if is_ours(change.uri)),
    )


def _digest(plan: Plan, released: int) -> str:
    return digest(_lines(plan, released)).hex()[:12]


def _lines(plan: Plan, released: int) -> Iterator[str]:
    """One after another: there may be a million."""
    for item in plan.fetch():
        obj = item.obj
        values = (item.change, obj.uri, obj.etag, obj.version, obj.size_bytes, obj.modified_at)
        yield "|".join(map(str, values))
    for item in plan.touched:
        yield f"touched|{item.obj.uri}|{item.obj.modified_at}"
    for change in plan.access:
        yield f"access|{change.uri}|{change.etag}"
    if plan.is_complete:
        # held-back deletions become work again once they are confirmed
        for item in plan.vanished:
            yield f"vanished|{item.document_id}|{released}"


def _words(plan: Plan) -> str:
    counts = plan.counts()
    named = ("new", "changed", "metadata_only", "vanished", "access_lists")
    return ", ".join(f"{counts[name]} {name.replace('_', ' ')}" for name in named if counts[name])


def unfinished_work(conn: Connection, settings: Settings) -> Iterator[tuple[Shard, str, str]]:
    """(shard, item, reason) for documents a crash left unpublished and for retries that are due."""
    from rag.store import index

    for row in index.pending_shards(conn, settings.lease_s):
        shard = Shard(collection_of(row), row["shard"], row["shards"])
        item = f"pending:{row['documents']}:{row['newest_version']}:{row['attempts']}"
        yield shard, item, f"{row['documents']} documents registered, not yet searchable"
