"""The regular evaluation of what is live, and how it did before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rag.evaluation.experiment import Lab, Method, run_experiment
from rag.evaluation.export import Side
from rag.evaluation.metrics import FAILED
from rag.evaluation.report import means_plot
from rag.model import CollectionName
from rag.store import collections, evaluation
from rag.store.database import Row

CALLED = "live"
_HISTORY = 10
_WORST = 10
_FULL = 0.999


@dataclass(frozen=True, slots=True)
class Evaluated:
    """One evaluation with the last ones of the same dataset; `worst` are question, score, found."""

    name: str
    dataset: str
    is_synthetic: bool
    questions: int
    failed: int
    means: Mapping[str, float]
    history: Sequence[Row]
    worst: Sequence[tuple[str, str, str]]
    chart: str


def evaluate_live(
    lab: Lab, name: CollectionName, dataset: Row, method: Method | None = None
) -> Evaluated:
    """Ask the dataset of the live generation, as an experiment called `live-XXXXXXXX`."""
    ran = run_experiment(lab, name, dataset, method or Method(), called=CALLED)
    collection = collections.find_collection(lab.conn, name)
    rows = evaluation.experiments(lab.conn, collection.id)
    same = evaluations_of(rows, dataset["name"])
    results = evaluation.results(lab.conn, ran.id)
    values = [value for row in results for value in row["scores"].values()]
    return Evaluated(
        name=ran.name,
        dataset=dataset["name"],
        is_synthetic=dataset["is_synthetic"],
        questions=ran.items,
        failed=values.count(FAILED),
        means=next(row["means"] for row in same if row["id"] == ran.id),
        history=same,
        worst=_worst(results),
        chart=means_plot([Side(ran.name, {row["key"]: row for row in results})]),
    )


def evaluations_of(rows: Sequence[Row], dataset: str) -> list[Row]:
    """Of experiments, newest first: the last regular evaluations with that dataset."""
    regular = (row for row in rows if row["name"].startswith(f"{CALLED}-"))
    return [row for row in regular if row["dataset"] == dataset][:_HISTORY]


def _worst(results: Sequence[Row]) -> list[tuple[str, str, str]]:
    scored = [(row["scores"]["nDCG@10"], row) for row in results if "nDCG@10" in row["scores"]]
    missed = sorted((each for each in scored if each[0] < _FULL), key=lambda each: each[0])
    return [
        (row["question"], f"{value:.2f}", ", ".join(hit["document"] for hit in row["hits"][:3]))
        for value, row in missed[:_WORST]
    ]
