"""Several experiments side by side: CSV, xlsx, and their NoRagStat."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.errors import ConfigurationError
from rag.store import evaluation
from rag.store.collections import Collection
from rag.store.database import Connection, Row

# what XML can not hold
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
# a cell that a spreadsheet would take for a formula
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Side:
    """One experiment and its results by question."""

    name: str
    results: dict[str, Row]


def sides(conn: Connection, collection: Collection, names: Sequence[str]) -> list[Side]:
    """These experiments, in this order. Raises ConfigurationError (`experiment_not_found`)."""
    found = []
    for name in names:
        row = evaluation.find_experiment(conn, collection.id, name)
        if row is None:
            raise ConfigurationError(
                f"{collection.name} has no experiment {name}: `rag evaluate list` shows them.",
                code="experiment_not_found",
            )
        results = evaluation.results(conn, row["id"])
        found.append(Side(name, {each["key"]: each for each in results}))
    return found


def table_rows(chosen: Sequence[Side]) -> Iterator[list[str]]:
    """Head and rows: topic, question and expected answer, then answer, sources and scores of each
    experiment; two empty cells and no scores where one has not asked the question."""
    metrics = sorted({metric for side in chosen for row in side.results.values()
                      for metric in row["scores"]})  # fmt: skip
    head = ["topic", "question", "expected answer"]
    for at, side in enumerate(chosen, start=1):
        head += [f"Response {at} ({side.name})", f"Sources {at} ({side.name})"]
        head += [f"{metric} {at}" for metric in metrics]
    yield head
    keys = dict.fromkeys(key for side in chosen for key in side.results)
    for key in keys:
        first = next(side.results[key] for side in chosen if key in side.results)
        row = [first["topic"] or "", first["question"], first["expected"] or ""]
        for side in chosen:
            row += _cells(side.results.get(key), metrics)
        yield row


def _cells(result: Row | None, metrics: Sequence[str]) -> list[str]:
    if result is None:
        return ["", ""] + [""] * len(metrics)
    sources = [f"{hit['document']}#{hit['ordinal']}" for hit in result["hits"]]
    said = result["error"] or result["answer"] or ""
    scores = result["scores"]
    return [said, "" if result["error"] else " ".join(sources)] + [
        f"{scores[metric]:.4f}" if metric in scores else "" for metric in metrics
    ]


def write_csv(path: Path, chosen: Sequence[Side]) -> int:
    """The table as CSV with `|`; returns how many questions it has."""
    rows = list(table_rows(chosen))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="|", quotechar='"')
        writer.writerows([[_inert(cell) for cell in row] for row in rows])
    return len(rows) - 1


def write_xlsx(path: Path, chosen: Sequence[Side], no_answer: str | None = None) -> int:
    """The table as a workbook, with a sheet of means and, given what is said when nothing is
    known, how often that was said; returns how many questions it has."""
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    sheet = book.create_sheet("results")
    rows = list(table_rows(chosen))
    for row in rows:
        sheet.append([_inert(_ILLEGAL.sub("", cell)) for cell in row])
    means = book.create_sheet("means")
    means.append(["experiment", "metric", "mean", "questions"])
    for side in chosen:
        for metric, values in sorted(kept_scores(side).items()):
            means.append([side.name, metric, sum(values) / len(values), len(values)])
        if no_answer is not None:
            means.append([side.name, "NoRagStat", no_rag_stat(side, no_answer), len(side.results)])
    book.save(path)
    return len(rows) - 1


def kept_scores(side: Side) -> dict[str, list[float]]:
    """The scores of each metric, failed ones left out."""
    found: dict[str, list[float]] = {}
    for row in side.results.values():
        for metric, value in row["scores"].items():
            if value != -1:
                found.setdefault(metric, []).append(value)
    return found


def no_rag_stat(side: Side, no_answer: str) -> float:
    """Percentage of answers that are the sentence for not knowing; 0 without answers."""
    answers = [row["answer"] for row in side.results.values() if row["answer"]]
    return 100 * sum(each.strip() == no_answer for each in answers) / len(answers) if answers else 0


def _inert(cell: Any) -> str:
    text = str(cell)
    return f"'{text}" if text.startswith(_FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", text) is not None
