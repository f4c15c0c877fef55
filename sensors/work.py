"""Which shards have work, found by comparing listings with the manifest. It reads; runs write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
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

    confirmed = manifest.is_confirmed(conn, scope_of(collection, row), settings.deletion_confirm_s)
    for shard in collection.shard_list():
        part = _part(plan, shard)
        if not part.is_empty:
            yield shard, f"{row['id']}:{_digest(part, confirmed)}", f"{row['uri']}: {_words(part)}"


def scope_of(collection: Collection, row: Row) -> Scope:
    """One source, seen from all shards of its collection."""
    from rag.store.manifest import Scope

    return Scope(collection.id, row["id"], tuple(range(collection.shards)))


def _part(plan: Plan, shard: Shard) -> Plan:
    """What of the plan falls to one shard."""

    def is_ours(uri: str) -> bool:
        return shard.count == 1 or shard_index(uri, shard.count) == shard.index

    return replace(
        plan,
        fetch=tuple(item for item in plan.fetch if is_ours(item.obj.uri)),
        touched=tuple(obj for obj in plan.touched if is_ours(obj.uri)),
        vanished=tuple(item for item in plan.vanished if is_ours(item.obj.uri)),
    )


def _digest(plan: Plan, confirmed: bool) -> str:
    parts = [
        "|".join(
            str(value)
            for value in (item.change, item.obj.uri, item.obj.etag, item.obj.version,
                          item.obj.size_bytes, item.obj.modified_at)
        )
        for item in plan.fetch
    ]  # fmt: skip
    parts += [f"touched|{obj.uri}|{obj.modified_at}" for obj in plan.touched]
    if plan.is_complete:
        # held-back deletions become work again once they are confirmed
        parts += [f"vanished|{item.document_id}|{confirmed}" for item in plan.vanished]
    return digest(parts).hex()[:12]


def _words(plan: Plan) -> str:
    counts = plan.counts()
    named = ("new", "changed", "metadata_only", "vanished")
    return ", ".join(f"{counts[name]} {name.replace('_', ' ')}" for name in named if counts[name])


def unfinished_work(conn: Connection, collection: Collection) -> Iterator[tuple[Shard, str, str]]:
    """(shard, item, reason) for documents a crash left unpublished and for retries that are due."""
    shards = collection.shard_list()
    behind = _documents_behind(conn, collection)
    if behind:
        for shard in shards:
            yield shard, f"behind:{behind}", f"{behind} documents registered, not yet searchable"
    for shard in shards:
        due = _due_retries(conn, collection, shard)
        if due:
            named = digest(f"{row['uri']}|{row['next_retry_at']}" for row in due).hex()[:12]
            yield shard, f"retry:{named}", f"{len(due)} retries due"


def _documents_behind(conn: Connection, collection: Collection) -> int:
    from rag.store import index
    from rag.store.content import Build

    build = Build(collection.id, collection.namespace_id, 0, 0, 0, 0)
    live = index.Generation(collection.live_generation_id or 0, is_live=True)
    return index.documents_behind(conn, build, live)


def _due_retries(conn: Connection, collection: Collection, shard: Shard) -> Sequence[Row]:
    from rag.store import ledger

    now = datetime.now(UTC)
    letters = ledger.open_letters(conn, collection.id, [shard.index])
    # a fetch that is due shows in the listing's difference already
    return [
        row
        for row in letters
        if row["stage"] != "fetch" and row["next_retry_at"] and row["next_retry_at"] <= now
    ]
