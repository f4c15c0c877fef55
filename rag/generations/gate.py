"""The gate: whether a candidate may serve. It asks both generations the same questions and looks at
counts, filtered recall and latency; the live one serves on unless all of it holds."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from rag.errors import ConflictError
from rag.evaluation.bootstrap import Comparison, Rule, compare, paired
from rag.evaluation.experiment import Lab, Method, import_dataset, run_experiment
from rag.evaluation.metrics import FAILED, RANKING
from rag.evaluation.synthetic import synthetic_items
from rag.generations.promotion import candidate_of, documents_behind
from rag.generations.selfcheck import filtered_recall
from rag.model import CollectionName
from rag.store import collections, evaluation, generations, index
from rag.store.collections import Collection
from rag.store.database import Row

METRICS = ("recall@10", "nDCG@10")
SYNTHETIC = "synthetic"
# below this nobody feels a difference
_FELT_MS = 50.0
_WORSE_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Check:
    """One claim about the candidate beside its scores."""

    name: str
    passed: bool
    text: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What the gate says of a candidate, and why. `worse` are the questions that lost most."""

    collection: str
    candidate: int
    live: int | None
    passed: bool
    dataset: str
    is_synthetic: bool
    comparisons: tuple[Comparison, ...]
    checks: tuple[Check, ...]
    worse: tuple[Mapping[str, Any], ...]
    experiments: tuple[str, ...] = field(default=())

    @property
    def reasons(self) -> list[str]:
        """What stands against it; empty when it passed."""
        scores = [f"{each.metric}: {each.reason}" for each in self.comparisons if not each.passed]
        return scores + [f"{each.name}: {each.text}" for each in self.checks if not each.passed]

    def as_object(self) -> dict[str, Any]:
        """The decision as JSON."""
        return {**asdict(self), "reasons": self.reasons}


def judge_candidate(
    lab: Lab, name: CollectionName, generation: int | None = None, dataset: str | None = None
) -> Decision:
    """Judge a candidate (the newest, unless one is named) against the live generation and keep the
    decision. A collection without a dataset gets synthetic questions of its own passages.

    Raises ConflictError (`no_candidate`), NotFoundError (`generation_not_found`,
    `dataset_not_found`)."""
    collection = collections.find_collection(lab.conn, name)
    row = _candidate(lab, collection, generation)
    live = generations.standing(lab.conn, collection.id)["live_generation_id"]
    golden = golden_dataset(lab, collection, dataset)
    method = Method(metrics=RANKING)
    label = uuid.uuid4().hex[:4]
    runs = [
        run_experiment(lab, name, golden, method, called=f"gate-{label}-{role}", generation=which)
        for role, which in (("live", live), ("candidate", row["id"]))
    ]
    theirs, ours = (evaluation.results(lab.conn, run.id) for run in runs)
    settings = lab.settings
    comparisons = tuple(
        compare(*_scores(theirs, ours, metric),
                Rule(metric, settings.gate_drop, settings.gate_floors.get(metric)),
                settings.gate_min_questions)
        for metric in dict.fromkeys((*METRICS, *settings.gate_floors))
    )  # fmt: skip
    checks = [
        *_counts(lab, collection, row["id"], live),
        _recall(lab, name, row["id"]),
        _latency(theirs, ours, settings.gate_latency_ratio),
    ]
    decision = Decision(
        collection=str(name), candidate=row["id"], live=live,
        passed=all(each.passed for each in comparisons) and all(each.passed for each in checks),
        dataset=golden["name"], is_synthetic=golden["is_synthetic"], comparisons=comparisons,
        checks=tuple(checks), worse=_worse(theirs, ours),
        experiments=tuple(run.name for run in runs),
    )  # fmt: skip
    generations.keep_decision(
        lab.conn, collection.id, row["id"], live, decision.passed, decision.as_object()
    )
    return decision


def golden_dataset(lab: Lab, collection: Collection, name: str | None = None) -> Row:
    """The dataset of that name, or the newest that people made, or synthetic questions, made now
    when there are none yet. Raises NotFoundError (`dataset_not_found`)."""
    if name is None and not evaluation.datasets(lab.conn, collection.id):
        rows = evaluation.passages_to_ask(lab.conn, collection.id, lab.settings.synthetic_questions)
        items = synthetic_items(rows, lab.writer)
        import_dataset(lab.conn, collection, SYNTHETIC, items, is_synthetic=True)
    return evaluation.find_dataset(lab.conn, collection.id, name)


def _candidate(lab: Lab, collection: Collection, generation: int | None) -> Row:
    if generation is not None:
        return generations.find(lab.conn, collection.id, generation)
    found = candidate_of(generations.all_of(lab.conn, collection.id))
    if found is None:
        raise ConflictError(
            f"{collection.name} has no candidate: `rag index build {collection.name} --set "
            "chunk_size=...` builds one.",
            code="no_candidate",
        )
    return found


def _scores(
    theirs: Sequence[Row], ours: Sequence[Row], metric: str
) -> tuple[list[float], list[float]]:
    live, candidate = (
        {row["key"]: row["scores"][metric] for row in rows if metric in row["scores"]}
        for rows in (theirs, ours)
    )
    return paired(live, candidate, FAILED)


def _counts(lab: Lab, collection: Collection, candidate: int, live: int | None) -> list[Check]:
    served = index.parity(lab.conn, index.Generation(candidate, is_live=False))
    faults = {
        name: served[name] for name in ("broken_documents", "orphan_rows", "deleted_documents")
    }
    behind = documents_behind(lab.conn, collection, candidate)
    lost = generations.compare(lab.conn, live, candidate)["only_first"] if live else 0
    wrong = [f"{count} {name.replace('_', ' ')}" for name, count in faults.items() if count]
    wrong += [f"{behind} documents are missing"] if behind else []
    return [
        Check("parity", not wrong, ", ".join(wrong) or
              f"{served['documents']} documents, {served['chunks_served']} chunks, all whole"),
        Check("no document lost", lost == 0, f"{lost} documents that are found now would not be "
              "found any more" if lost else "every document that is found now stays"),
    ]  # fmt: skip


def _recall(lab: Lab, name: CollectionName, candidate: int) -> Check:
    found = filtered_recall(lab.conn, name, candidate)
    least = lab.settings.gate_filtered_recall
    return Check("filtered recall", found >= least,
                 f"{found:.3f} of the exact neighbours are found under a filter, {least:.3f} are "
                 "wanted")  # fmt: skip


def _latency(theirs: Sequence[Row], ours: Sequence[Row], ratio: float) -> Check:
    live, candidate = (
        float(np.percentile([row["latency_ms"] for row in rows], 95)) if rows else 0.0
        for rows in (theirs, ours)
    )
    passed = candidate <= max(_FELT_MS, ratio * live)
    return Check("latency", passed, f"p95 {candidate:.1f} ms, live {live:.1f} ms")


def _worse(theirs: Sequence[Row], ours: Sequence[Row]) -> tuple[Mapping[str, Any], ...]:
    """The questions whose nDCG@10 fell, worst first."""
    before = {row["key"]: row for row in theirs}
    lost = []
    for row in ours:
        was = before.get(row["key"], {}).get("scores", {}).get("nDCG@10", FAILED)
        now = max(0.0, row["scores"].get("nDCG@10", 0.0))
        if was > now:
            lost.append({"key": row["key"], "question": row["question"], "live": was,
                         "candidate": now, "error": row["error"]})  # fmt: skip
    lost.sort(key=lambda each: each["candidate"] - each["live"])
    return tuple(lost[:_WORSE_SHOWN])
