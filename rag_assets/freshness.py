"""The verdict on a shard's freshness."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rag_assets.verdicts import ERROR, WARN, Verdict

if TYPE_CHECKING:
    from rag.freshness import Freshness
    from rag.ingest.workshop import Workshop
    from rag.model import Shard


def freshness(shop: Workshop, shard: Shard) -> Verdict:
    """Every change at the sources is searchable within the collection's objective."""
    from rag.freshness import measure

    collection = shop.collection(shard)
    return verdict_of(measure(shop.conn, collection, shop.settings, shard.index))


def verdict_of(found: Freshness) -> Verdict:
    """What the check shows: counts, ages, percentiles, the objective."""
    from rag.freshness import percentiles, span

    numbers: dict[str, int | float] = {
        "documents": found.documents,
        "waiting": found.waiting,
        "failed": found.failed,
        "waiting_s": round(found.waiting_s, 1),
        "unseen_s": round(found.unseen_s, 1),
        "measured": found.measured,
        "in_time": found.in_time,
    }
    lags = {"p50_s": found.p50_s, "p95_s": found.p95_s, "p99_s": found.p99_s}
    numbers |= {name: round(value, 1) for name, value in lags.items() if value is not None}
    return Verdict(
        found.state == "fresh",
        found.words,
        numbers,
        ERROR if found.state == "stale" else WARN,
        facts={
            "objective": f"late (warn) after {span(found.objective.warn_s)}, stale (fail) after "
            f"{span(found.objective.fail_s)}",
            "percentiles": percentiles(found),
        },
    )
