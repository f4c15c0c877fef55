"""Judges a shard of the store: takes a reference where there is none, and compares what came since.

Documents are judged per shard, questions per collection, with its first shard."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from rag.drift import judgement
from rag.drift.judgement import Asked, Judgement, Sample
from rag.store import drift
from rag.store.drift import Found, Reference, Scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from rag.drift.statistics import Vectors
    from rag.ingest.workshop import Workshop
    from rag.model import Shard
    from rag.store.database import Row

REFERENCE_SIZE = 1_000
RECENT_SIZE = 500
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def documents(
    shop: Workshop, shard: Shard, judge: Callable[[Sample, Sample], Judgement]
) -> Judgement:
    """What the judge makes of the shard's recent documents; without findings when there are too
    few of them, or no reference before now."""
    scope = drift.scope_of(shop.conn, shop.collection(shard).id, shard.index)
    least = shop.settings.drift_min_sample
    if scope is None:
        return Judgement(0, 0)
    reference = drift.find_reference(shop.conn, scope, "documents")
    if reference is None:
        return Judgement(_take_documents(shop, scope), 0)
    before = _sample(drift.samples(shop.conn, reference.id))
    after = _sample(drift.recent_documents(shop.conn, scope, _since(shop, reference), RECENT_SIZE))
    if min(len(before), len(after)) < least:
        return Judgement(len(before), len(after))
    return judge(before, after)


def queries(shop: Workshop, shard: Shard) -> Judgement:
    """What has become of the questions, against the reference and the documents."""
    found = _questions(shop, shard)
    if found is None:
        return Judgement(0, 0)
    scope, reference, recent = found
    members = drift.samples(shop.conn, reference.id)
    corpus = drift.find_reference(shop.conn, scope, "documents")
    about = drift.samples(shop.conn, corpus.id) if corpus is not None else []
    least = shop.settings.drift_min_sample
    if min(len(members), len(recent), len(about)) < least:
        return Judgement(len(members), len(recent))
    asked = np.stack([shop.embedder.embed_query(row["query"]) for row in recent])
    return judgement.query_drift(_vectors(members), asked, _vectors(about))


def outcomes(shop: Workshop, shard: Shard) -> Judgement:
    """What has become of the answers to questions."""
    found = _questions(shop, shard)
    if found is None:
        return Judgement(0, 0)
    _scope, reference, recent = found
    collection_id = shop.collection(shard).id
    before = drift.questions(shop.conn, collection_id, _LONG_AGO, reference.taken_at, RECENT_SIZE)
    if min(len(before), len(recent)) < shop.settings.drift_min_sample:
        return Judgement(len(before), len(recent))
    scores = [row["best_score"] for row in before if row["best_score"] is not None]
    low = float(np.quantile(scores, 0.05)) if scores else 0.0
    return judgement.outcome_drift(_asked(before, low), _asked(recent, low))


def keep(shop: Workshop, shard: Shard, check: str, found: Judgement) -> None:
    """Keep what the check found: it is shown as metrics until it looks again. What it did not
    judge it does not know."""
    kept = [
        Found(item.name, item.value, item.warn, item.fail, item.p_value) for item in found.findings
    ]
    drift.keep_findings(shop.conn, shop.collection(shard).id, shard.index, check, kept)


def _take_documents(shop: Workshop, scope: Scope) -> int:
    """Take the reference when there are documents enough; returns its size."""
    if drift.count_documents(shop.conn, scope) < shop.settings.drift_min_sample:
        return 0
    with shop.conn.transaction():
        taken = drift.take_reference(shop.conn, scope, "documents")
        if taken is None:
            return 0
        drift.fill_documents(shop.conn, scope, taken.id, REFERENCE_SIZE)
        return len(drift.samples(shop.conn, taken.id))


def _questions(shop: Workshop, shard: Shard) -> tuple[Scope, Reference, list[Row]] | None:
    """The reference of the collection's questions and those asked since; None when there is
    nothing to compare yet, in another shard than the first, and while the live generation is of
    another model than the one in force."""
    collection = shop.collection(shard)
    scope = drift.scope_of(shop.conn, collection.id, shard.index)
    if scope is None or shard.index or scope.model_id != shop.build(shard).model_id:
        return None
    reference = drift.find_reference(shop.conn, scope, "queries")
    if reference is None:
        _take_questions(shop, scope)
        return None
    until = datetime.now(UTC) + timedelta(days=1)
    since = _since(shop, reference)
    return scope, reference, drift.questions(shop.conn, collection.id, since, until, RECENT_SIZE)


def _take_questions(shop: Workshop, scope: Scope) -> None:
    until = datetime.now(UTC) + timedelta(days=1)
    rows = drift.questions(shop.conn, scope.collection_id, _LONG_AGO, until, RECENT_SIZE)
    if len(rows) < shop.settings.drift_min_sample:
        return
    members = [
        (row["id"], shop.embedder.embed_query(row["query"]).tolist(), len(row["query"].split()))
        for row in rows
    ]
    with shop.conn.transaction():
        taken = drift.take_reference(shop.conn, scope, "queries")
        if taken is not None:
            drift.fill_questions(shop.conn, taken.id, members)


def _since(shop: Workshop, reference: Reference) -> datetime:
    window = timedelta(seconds=shop.settings.drift_window_s)
    return max(reference.taken_at, datetime.now(UTC) - window)


def _sample(rows: Sequence[Row]) -> Sample:
    return Sample(
        _vectors(rows),
        tuple(row["media_type"] for row in rows),
        tuple(row["language"] or "unknown" for row in rows),
        tuple(row["words"] for row in rows),
    )


def _vectors(rows: Sequence[Row]) -> Vectors:
    return np.array([row["vector"] for row in rows], dtype=np.float32)


def _asked(rows: Sequence[Row], low: float) -> Asked:
    return Asked(
        questions=len(rows),
        zero_hit=sum(row["is_zero_hit"] for row in rows),
        unknown=sum(row["is_unknown"] for row in rows),
        low_score=sum(row["best_score"] is not None and row["best_score"] < low for row in rows),
        judged=sum(row["is_judged"] for row in rows),
        thumbs_down=sum(row["is_down"] for row in rows),
    )
