"""What an ingest run does with a candidate that has caught up: judge it once, let it serve when it
passes, and say again what was said when it did not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from rag.asking import Embedders
from rag.evaluation.experiment import Lab
from rag.generations import promotion
from rag.generations.gate import judge_candidate
from rag.ingest.workshop import Workshop
from rag.llm import open_model
from rag.model import Shard
from rag.ports import Embedder
from rag.recipe import recipe_of
from rag.settings import Settings, load_settings
from rag.store import generations
from rag.store.database import Row


@dataclass(frozen=True, slots=True)
class Approval:
    """How a candidate stands; `is_new` says that it was judged now."""

    passed: bool
    text: str
    report: Mapping[str, Any] | None = None
    is_new: bool = False


def approve(shop: Workshop, shard: Shard) -> Approval:
    """Judge the collection's candidate when it is gated, caught up and not judged yet; promote it
    when it passes. A candidate that failed is judged again by `rag index gate`."""
    collection = shop.collection(shard)
    candidate = promotion.candidate_of(generations.all_of(shop.conn, collection.id))
    if not generations.standing(shop.conn, collection.id)["is_gated"] or candidate is None:
        return Approval(True, "No candidate waits for the gate.")
    behind = promotion.documents_behind(shop.conn, collection, candidate["id"])
    said = generations.last_decision(shop.conn, candidate["id"])
    if said is not None and not said["passed"]:
        return _repeated(candidate, said)
    if behind:
        return Approval(True, f"Candidate {candidate['id']} lacks {behind} documents still.")
    decision = judge_candidate(lab_of(shop), shard.name, candidate["id"])
    if decision.passed:
        promotion.promote(shop.conn, shard.name, decision.candidate, load_settings())
        text = f"Generation {decision.candidate} passed the gate and is live."
    else:
        text = f"Generation {decision.candidate} stays back: {'; '.join(decision.reasons)}."
    return Approval(decision.passed, text, decision.as_object(), is_new=True)


def lab_of(shop: Workshop) -> Lab:
    """The lab of a run: its own engine for its own recipe, others as they are needed."""
    own = recipe_of(shop.settings)

    def open_engine(settings: Settings) -> Embedder:
        return shop.embedder if recipe_of(settings) == own else shop.open_engines(settings).embedder

    model = open_model(shop.settings)
    embedders = Embedders(shop.settings, open_engine)
    return Lab(shop.conn, shop.settings, embedders, writer=model, judge=model)


def _repeated(candidate: Row, said: Row) -> Approval:
    reasons = "; ".join(said["report"].get("reasons", []))
    return Approval(
        False,
        f"Generation {candidate['id']} did not pass the gate at "
        f"{said['decided_at'].astimezone(UTC):%Y-%m-%d %H:%M} UTC ({reasons}): the live one "
        "serves on. `rag index gate` judges it anew, `rag index retire` gives it up.",
        said["report"],
    )
