"""Experiments side by side as one HTML page that needs nothing else: tables and SVG plots."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from statistics import fmean

from rag.evaluation.export import Side, kept_scores

_COLOURS = ("#1f5fa8", "#c2571a", "#2c7a4b", "#7b3fa0", "#8a6d1d", "#a02c4a")
_STYLE = """
:root { color-scheme: light dark } body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto;
max-width: 70rem; padding: 0 1rem } table { border-collapse: collapse; width: 100%; margin: 1rem 0 }
th, td { border: 1px solid #8886; padding: .3rem .6rem; text-align: left; vertical-align: top }
td.n { text-align: right; font-variant-numeric: tabular-nums } .note { opacity: .75 }
"""


def html_report(title: str, chosen: Sequence[Side], is_synthetic: bool = False) -> str:
    """The whole page. Nothing of a document or answer can become markup."""
    note = (
        "<p class='note'>The questions are synthetic: made of the collection's own passages, not "
        "asked by people.</p>"
        if is_synthetic
        else ""
    )
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; "
        "style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{escape(title)}</h1>{note}{means_table(chosen)}{means_plot(chosen)}"
        f"{_questions(chosen)}</body></html>"
    )


def write_folder(folder: Path, side: Side) -> None:
    """What a pipeline keeps of one experiment: metrics.json (means), scores.csv (a row per
    question, for plots) and report.html."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = kept_scores(side)
    means = {name: round(fmean(values), 6) for name, values in sorted(kept.items())}
    (folder / "metrics.json").write_text(json.dumps(means, indent=2) + "\n", encoding="utf-8")
    with (folder / "scores.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["question", *sorted(kept)])
        writer.writeheader()
        for key, row in side.results.items():
            writer.writerow({"question": key, **row["scores"]})
    (folder / "report.html").write_text(html_report(side.name, [side]), encoding="utf-8")


def means_table(chosen: Sequence[Side]) -> str:
    """The mean of each metric, an experiment per column, with the number of questions scored."""
    by_side = [kept_scores(side) for side in chosen]
    metrics = sorted({metric for scores in by_side for metric in scores})
    head = "".join(
        f"<th scope='col'><span style='color: {_COLOURS[at % len(_COLOURS)]}'>&#9632;</span> "
        f"{escape(side.name)}</th>"
        for at, side in enumerate(chosen)
    )
    rows = "".join(
        f"<tr><th scope='row'>{escape(metric)}</th>"
        + "".join(_mean_cell(scores.get(metric)) for scores in by_side)
        + "</tr>"
        for metric in metrics
    )
    return f"<table><tr><th scope='col'>metric</th>{head}</tr>{rows}</table>"


def _mean_cell(values: Sequence[float] | None) -> str:
    if not values:
        return "<td class='n'>-</td>"
    return f"<td class='n'>{fmean(values):.4f} <span class='note'>({len(values)})</span></td>"


def means_plot(chosen: Sequence[Side]) -> str:
    """The means as bars, grouped by metric."""
    by_side = [kept_scores(side) for side in chosen]
    metrics = sorted({metric for scores in by_side for metric in scores})
    if not metrics:
        return ""
    bar, gap, width = 14, 10, 420
    left = 20 + 7 * max(map(len, metrics))
    height = len(metrics) * (len(chosen) * bar + gap) + gap
    parts = []
    for row, metric in enumerate(metrics):
        top = gap + row * (len(chosen) * bar + gap)
        middle = top + len(chosen) * bar / 2 + 4
        parts.append(f"<text x='{left - 8}' y='{middle:.0f}' text-anchor='end' font-size='12' "
                     f"fill='currentColor'>{escape(metric)}</text>")  # fmt: skip
        for at, scores in enumerate(by_side):
            mean = fmean(scores[metric]) if scores.get(metric) else 0.0
            y = top + at * bar
            parts.append(
                f"<rect x='{left}' y='{y}' width='{width * mean:.1f}' height='{bar - 2}' "
                f"fill='{_COLOURS[at % len(_COLOURS)]}'><title>{escape(chosen[at].name)}: "
                f"{mean:.4f}</title></rect><text x='{left + width * mean + 5:.1f}' y='{y + 10}' "
                f"font-size='11' fill='currentColor'>{mean:.3f}</text>"
            )
    names = ", ".join(side.name for side in chosen)
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' role='img' viewBox='0 0 {left + width + 60} "
        f"{height}' width='100%' font-family='sans-serif' "
        f"aria-label='Means by metric of {escape(names)}'>" + "".join(parts) + "</svg>"
    )


def _questions(chosen: Sequence[Side]) -> str:
    head = "".join(f"<th scope='col'>{escape(side.name)}</th>" for side in chosen)
    rows = []
    keys = dict.fromkeys(key for side in chosen for key in side.results)
    for key in sorted(keys, key=lambda each: _gain(chosen, each)):
        first = next(side.results[key] for side in chosen if key in side.results)
        cells = "".join(_result_cell(side, key) for side in chosen)
        rows.append(f"<tr><th scope='row'>{escape(first['question'])}</th>{cells}</tr>")
    return (
        f"<h2>Questions{', those that lost most first' if len(chosen) > 1 else ''}</h2>"
        "<table><tr><th scope='col'>question</th>"
        f"{head}</tr>{''.join(rows)}</table>"
    )


def _gain(chosen: Sequence[Side], key: str) -> float:
    """What the question gained from the first experiment to the last, over all metrics."""
    first, last = (
        sum(max(0.0, value) for value in side.results[key]["scores"].values())
        if key in side.results
        else 0.0
        for side in (chosen[0], chosen[-1])
    )
    return float(last - first)


def _result_cell(side: Side, key: str) -> str:
    row = side.results.get(key)
    if row is None:
        return "<td>not asked</td>"
    if row["error"]:
        return f"<td>failed: {escape(row['error'])}</td>"
    scores = ", ".join(f"{name} {value:.2f}" for name, value in sorted(row["scores"].items()))
    found = ", ".join(dict.fromkeys(hit["document"] for hit in row["hits"][:4]))
    said = f"{escape(row['answer'])}<br>" if row["answer"] else ""
    return f"<td>{said}<span class='note'>{escape(found)}</span><br>{escape(scores)}</td>"
