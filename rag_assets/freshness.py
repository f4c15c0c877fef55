"""The verdict on a shard's freshness."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rag_assets.verdicts import ERROR, WARN, Verdict

if TYPE_CHECKING:
    from rag.freshness import Freshness, Objective
    from rag.ingest.workshop import Workshop
    from rag.model import Shard


def freshness(shop: Workshop, shard: Shard) -> Verdict:
    """Every change at the sources is searchable within the collection's objective."""
    from rag.freshness import measure, objective_of

    collection = shop.collection(shard)
    objective = objective_of(shop.conn, collection, shop.settings)
    return verdict_of(measure(shop.conn, collection, shard.index), objective)


def verdict_of(found: Freshness, objective: Objective) -> Verdict:
    """What the check shows: counts, ages, percentiles, the objective."""
    state = found.state(objective)
    numbers: dict[str, int | float] = {
        "documents": found.documents,
        "waiting": found.waiting,
        "failed": found.failed,
        "waiting_s": round(found.waiting_s, 1),
        "unseen_s": round(found.unseen_s, 1),
        "measured": found.measured,
        "warn_s": objective.warn_s,
        "fail_s": objective.fail_s,
    }
    percentiles = {"p50_s": found.p50_s, "p95_s": found.p95_s, "p99_s": found.p99_s}
    numbers |= {name: round(value, 1) for name, value in percentiles.items() if value is not None}
    return Verdict(
        state == "fresh",
        found.words(objective),
        numbers,
        ERROR if state == "stale" else WARN,
    )
