"""raw_documents: bring the manifest of a shard up to date with its sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from rag.batches import batched, overlapped
from rag.errors import PolicyError, RagError
from rag.ingest import access_lists
from rag.ingest.contents import drop_needless
from rag.ingest.reconcile import Plan, look, settle_vanished
from rag.ingest.retry import file_failures, is_outage, next_attempt
from rag.ingest.terms import terms_of
from rag.ingest.workshop import StageReport, Workshop, recorded_stage
from rag.model import Shard, SourceObject
from rag.ports import Source
from rag.store import access_lists as stored_lists
from rag.store import collections, hints, ledger, manifest
from rag.store.database import Row
from rag.store.ledger import Failure
from rag.store.manifest import Difference, Scope

FETCH_THREADS = 8
BATCH = 200


@dataclass(frozen=True, slots=True)
class Fetched:
    """One object after its fetch: a content hash, or the error that stopped it."""

    item: Difference
    content_hash: bytes | None
    error: RagError | None = None


def register_documents(shop: Workshop, shard: Shard) -> StageReport:
    """Look at every source of the shard's collection; register what is new, changed, renamed or
    gone. What can not be fetched becomes a dead letter and is tried again when due. A source that
    can not be listed is named in the report and stops none of the others; the run fails when no
    source can be listed."""
    collection = shop.collection(shard)
    with recorded_stage(shop, shard, "raw_documents") as report:
        for name in ("new", "changed", "renamed", "unchanged", "deleted", "held"):
            report.add(name, 0)
        sources = collections.list_sources(shop.conn, collection)
        failed = [_try_source(shop, shard, collection.id, row, report) for row in sources]
        errors = [error for error in failed if error is not None]
        report.add("unlisted_sources", len(errors))
        if errors and len(errors) == len(sources):
            raise errors[0]
    return report


def _try_source(
    shop: Workshop, shard: Shard, collection_id: int, row: Row, report: StageReport
) -> RagError | None:
    scope = Scope(collection_id, row["id"], (shard.index,))
    try:
        source = shop.open_source(row["uri"], **row["options"])
        _register_source(shop, shard, scope, source, report)
    except RagError as error:
        report.facts[f"could not list {row['uri']}"] = f"{error.code}: {error.message}"
        return error
    return None


def _register_source(
    shop: Workshop, shard: Shard, scope: Scope, source: Source, report: StageReport
) -> None:
    work = look(shop.conn, scope, source, shard)
    report.add("listed", work.listed)
    report.add("unchanged", work.unchanged + len(work.touched))
    if not work.is_complete:
        report.facts["incomplete listing"] = source.uri
    for touched in batched(work.touched, BATCH):
        with shop.conn.transaction():
            manifest.lock_shard(shop.conn, scope.collection_id, scope.shards[0])
            objects = [item.obj for item in touched]
            true = {obj.uri for obj in _still_true(shop, scope, work, objects)}
            manifest.record_look(shop.conn, scope, [obj for obj in objects if obj.uri in true])
            ids = [item.document_id for item in touched if item.obj.uri in true]
            ledger.resolve(shop.conn, ["fetch"], [id_ for id_ in ids if id_ is not None])
    wrong = access_lists.take_over(shop.conn, scope, source, work.access, shop.spool)
    report.facts |= {f"access list of {uri}": code for uri, code in wrong.items()}
    if work.access:
        report.add("access_lists", len(work.access))
    if work.fetches:
        shop.parser.prepare(work.fetches, terms_of(shop.settings, shard.name).limits)
        shop.embedder.prepare()
    limit_bytes = shop.settings.limits_of(str(shard.name)).max_file_bytes
    renamed = _register_fetched(shop, scope, source, work, report, limit_bytes)
    if work.is_complete:
        vanished = [item for item in work.vanished if item.document_id not in renamed]
        with shop.conn.transaction():
            manifest.lock_shard(shop.conn, scope.collection_id, scope.shards[0])
            deleted = settle_vanished(
                shop.conn, scope, vanished, work.elsewhere, work.listed_at, shop.settings
            )
            manifest.mark_listed(shop.conn, scope)
            hints.clear_hints(shop.conn, scope, work.listed_at)
        report.add("deleted", deleted)
        report.add("held", len(vanished) - deleted)


def _register_fetched(
    shop: Workshop,
    scope: Scope,
    source: Source,
    work: Plan,
    report: StageReport,
    limit_bytes: int,
) -> set[int]:
    """Fetch and register in batches; returns the ids of vanished documents found again."""
    lost = _content_of_vanished(shop, work)
    renamed: set[int] = set()
    done = 0

    def fetch(window: Sequence[Difference]) -> list[Fetched]:
        # a local disk answers at once: there, threads would only wait for each other
        at_once = map if source.uri.startswith("file://") else pool.map
        return list(at_once(lambda item: _fetch(shop, source, item, limit_bytes), window))

    def register(batch: list[Fetched]) -> tuple[list[Fetched], set[int]]:
        with shop.conn.transaction():
            manifest.lock_shard(shop.conn, scope.collection_id, scope.shards[0])
            kept = set(_still_true(shop, scope, work, [fetched.item.obj for fetched in batch]))
            true = [fetched for fetched in batch if fetched.item.obj in kept]
            good = [fetched for fetched in true if fetched.content_hash is not None]
            found = _rename(shop, scope, good, lost, work)
            _register_batch(shop, scope, good, len(found), report)
            stored_lists.enforce(shop.conn, scope.collection_id, scope.shards[0])
            _file_failures(shop, scope, [item for item in true if item.error is not None])
        drop_needless(shop, scope.collection_id, _contents(batch), _contents(good))
        report.add("bytes", sum(item.item.obj.size_bytes for item in good))
        return batch, found

    with ThreadPoolExecutor(FETCH_THREADS, thread_name_prefix="fetch") as pool:
        # a window at a time: a million objects must not become a million futures
        for batch, found in overlapped(batched(work.fetch(), BATCH), fetch, register):
            renamed |= found
            done += len(batch)
            shop.progress("raw_documents", done, work.fetches)
            error = batch[0].error
            if error is not None and len(batch) == BATCH and all(is_outage(f.error) for f in batch):
                raise error  # the store is away: what is left would wait for it, one by one
    report.add("renamed", len(renamed))
    return renamed


def _contents(batch: Sequence[Fetched]) -> set[bytes]:
    return {fetched.content_hash for fetched in batch if fetched.content_hash}


def _still_true(
    shop: Workshop, scope: Scope, work: Plan, objects: Sequence[SourceObject]
) -> list[SourceObject]:
    """The objects that nobody has looked at, deleted or erased since this look began: what
    another writer found later than our listing stands."""
    overtaken = manifest.overtaken(shop.conn, scope, [obj.uri for obj in objects], work.listed_at)
    return [obj for obj in objects if obj.uri not in overtaken]


def _content_of_vanished(shop: Workshop, work: Plan) -> dict[bytes, list[int]]:
    """Vanished documents by content; empty when the listing can not tell what vanished."""
    if not work.is_complete or not work.fetches:
        return {}
    ids = [item.document_id for item in work.vanished if item.document_id is not None]
    lost: dict[bytes, list[int]] = {}
    for document_id, content_hash in manifest.content_of_documents(shop.conn, ids).items():
        lost.setdefault(content_hash, []).append(document_id)
    return lost


def _rename(
    shop: Workshop,
    scope: Scope,
    good: Sequence[Fetched],
    lost: dict[bytes, list[int]],
    work: Plan,
) -> set[int]:
    """Give vanished documents the name their content appeared under; uses up `lost`."""
    pairs: list[tuple[int, str]] = []
    for fetched in good:
        candidates = lost.get(fetched.content_hash or b"", [])
        if fetched.item.change == manifest.Change.NEW and candidates:
            pairs.append((candidates.pop(), fetched.item.obj.uri))
    return manifest.rename_documents(shop.conn, scope, pairs, work.listed_at)


def _register_batch(
    shop: Workshop, scope: Scope, good: Sequence[Fetched], renamed: int, report: StageReport
) -> None:
    objects = [fetched.item.obj for fetched in good]
    hashes = [fetched.content_hash or b"" for fetched in good]
    ids = manifest.upsert_documents(shop.conn, scope, scope.shards[0], [obj.uri for obj in objects])
    versioned = manifest.insert_versions(shop.conn, scope, objects, hashes, shop.run_id)
    manifest.record_look(shop.conn, scope, objects)
    ledger.resolve(shop.conn, ["fetch"], list(ids.values()))
    new = sum(fetched.item.change == manifest.Change.NEW for fetched in good) - renamed
    changed = sum(
        fetched.item.change == manifest.Change.CHANGED and ids[fetched.item.obj.uri] in versioned
        for fetched in good
    )
    report.add("new", new)
    report.add("changed", changed)
    report.add("unchanged", len(good) - new - changed - renamed)


def _fetch(shop: Workshop, source: Source, item: Difference, limit_bytes: int) -> Fetched:
    try:
        check_size(item.obj, limit_bytes)
        with shop.spool.incoming(item.obj.size_bytes) as path:
            source.fetch(item.obj, path)
            return Fetched(item, shop.spool.keep(path))
    except RagError as error:
        return Fetched(item, None, error)


def check_size(obj: SourceObject, limit_bytes: int) -> None:
    """Raises PolicyError (`file_too_large`) before anything is fetched."""
    if obj.size_bytes > limit_bytes:
        raise PolicyError(
            f"{obj.size_bytes:,} bytes are more than max_file_bytes ({limit_bytes:,}): raise it "
            "(for one collection: in collection_limits) or split the file.",
            code="file_too_large",
        )


def _file_failures(shop: Workshop, scope: Scope, failed: Sequence[Fetched]) -> None:
    objects = [fetched.item.obj for fetched in failed]
    if not objects:
        return
    ids = manifest.upsert_documents(shop.conn, scope, scope.shards[0], [obj.uri for obj in objects])
    before = ledger.attempts_so_far(shop.conn, "fetch", list(ids.values()))
    file_failures(shop, [_failure(one, ids[one.item.obj.uri], before) for one in failed])


def _failure(
    fetched: Fetched, document_id: int, before: Mapping[int, tuple[str, str, int]]
) -> Failure:
    assert fetched.error is not None
    obj = fetched.item.obj
    return Failure(
        document_id=document_id,
        version_id=None,
        uri=obj.uri,
        stage="fetch",
        error=fetched.error,
        attempts=next_attempt(before, document_id, obj.etag, fetched.error),
        fingerprint=obj.etag,
    )
