"""The gate: whether a candidate may serve. It asks both generations the same questions and looks at
counts, filtered recall and latency; the live one serves on unless all of it holds."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from rag.errors import ConflictError
from rag.evaluation.bootstrap import Comparison, Rule, compare, paired
from rag.evaluation.experiment import Lab, Method, import_dataset, run_experiment
from rag.evaluation.metrics import DECISIVE, FAILED, RANKING
from rag.evaluation.synthetic import synthetic_items
from rag.generations.promotion import candidate_of, documents_behind
from rag.generations.selfcheck import filtered_recall
from rag.model import CollectionName
from rag.search import Mode
from rag.settings import Settings
from rag.store import collections, evaluation, generations, index
from rag.store.collections import Collection
from rag.store.database import Row

SYNTHETIC = "synthetic"
# below this nobody feels a difference
_FELT_MS = 50.0
_WORSE_SHOWN = 20
# times the allowed drop: what word questions say of vectors alone tells sound from broken, no more
_PART_MAY_VARY = 5


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


@dataclass(frozen=True, slots=True)
class _Trial:
    """What both generations made of the questions in one mode of search."""

    mode: Mode
    names: tuple[str, ...]
    live: Sequence[Row]
    candidate: Sequence[Row]

    def comparisons(self, settings: Settings) -> Iterator[Comparison]:
        """Each metric under its rule. Floors and the narrow rule are for the search that people
        use, hybrid; a part of it alone may vary more."""
        is_whole = self.mode == "hybrid"
        floors = settings.gate_floors if is_whole else {}
        drop = settings.gate_drop * (1 if is_whole else _PART_MAY_VARY)
        for metric in dict.fromkeys((*DECISIVE, *floors)):
            scores = _scores(self.live, self.candidate, metric)
            rule = Rule(metric, drop, floors.get(metric))
            found = compare(*scores, rule, settings.gate_min_questions)
            yield found if is_whole else replace(found, metric=f"{metric} ({self.mode})")


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
    asked = _ask(lab, name, golden, live, row["id"], "hybrid")
    trials = [asked]
    if golden["is_synthetic"]:  # made of the passages' words: BM25 finds them whatever the model
        trials.append(_ask(lab, name, golden, live, row["id"], "dense"))
    comparisons = tuple(each for trial in trials for each in trial.comparisons(lab.settings))
    checks = [
        *_counts(lab, collection, row["id"], live),
        _recall(lab, name, row["id"]),
        _latency(asked.live, asked.candidate, lab.settings.gate_latency_ratio),
    ]
    decision = Decision(
        collection=str(name), candidate=row["id"], live=live,
        passed=all(each.passed for each in comparisons) and all(each.passed for each in checks),
        dataset=golden["name"], is_synthetic=golden["is_synthetic"], comparisons=comparisons,
        checks=tuple(checks), worse=_worse(trials),
        experiments=tuple(name for trial in trials for name in trial.names),
    )  # fmt: skip
    generations.keep_decision(
        lab.conn, collection.id, row["id"], live, decision.passed, decision.as_object()
    )
    return decision


def _ask(
    lab: Lab, name: CollectionName, golden: Row, live: int | None, candidate: int, mode: Mode
) -> _Trial:
    method = Method(metrics=RANKING, mode=mode)
    label = uuid.uuid4().hex[:4]
    runs = [
        run_experiment(lab, name, golden, method, called=f"gate-{label}-{role}", generation=which)
        for role, which in (("live", live), ("candidate", candidate))
    ]
    theirs, ours = (evaluation.results(lab.conn, run.id) for run in runs)
    return _Trial(mode, tuple(run.name for run in runs), theirs, ours)


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
    """Slower is what is slower throughout: a busy moment of the machine raises p95 alone."""
    live, candidate = (
        np.percentile([row["latency_ms"] for row in rows] or [0.0], [50, 95])
        for rows in (theirs, ours)
    )
    is_felt = candidate[1] > max(_FELT_MS, ratio * live[1])
    text = f"p95 {candidate[1]:.1f} ms, live {live[1]:.1f} ms"
    return Check("latency", not (is_felt and candidate[0] > ratio * live[0]), text)


def _worse(trials: Sequence[_Trial]) -> tuple[Mapping[str, Any], ...]:
    """The questions whose nDCG@10 fell, worst first."""
    lost = []
    for trial in trials:
        before = {row["key"]: row for row in trial.live}
        for row in trial.candidate:
            was = before.get(row["key"], {}).get("scores", {}).get("nDCG@10", FAILED)
            now = max(0.0, row["scores"].get("nDCG@10", 0.0))
            if was > now:
                lost.append({"key": row["key"], "question": row["question"], "mode": trial.mode,
                             "live": was, "candidate": now, "error": row["error"]})  # fmt: skip
    lost.sort(key=lambda each: each["candidate"] - each["live"])
    return tuple(lost[:_WORSE_SHOWN])
