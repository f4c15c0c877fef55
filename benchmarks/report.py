"""The report over all parts: a page and a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from benchmarks.drawing import Bar, draw
from benchmarks.figures import FIGURES, Figure
from benchmarks.keeping import keep, kept, machine, results_folder
from benchmarks.readings import Reading

Found = Sequence[tuple[Figure, Reading | None]]
Runs = Mapping[str, Mapping[str, Any]]


def write(profile: str, runs: Runs) -> str:
    """Write report.md, report.svg and report.json from what the parts have left; the page. Of parts
    that were not run now, the record of the last time stays."""
    before = kept("report") or {"runs": {}}
    facts = {
        "profile": profile,
        "measured_at": datetime.now(UTC).isoformat(timespec="minutes"),
        "machine": machine(),
        "runs": {**before["runs"], **runs},
    }
    found = [(figure, figure.read()) for figure in FIGURES]
    keep("report", facts)
    text = page(facts, found)
    (results_folder() / "report.md").write_text(text, encoding="utf-8")
    (results_folder() / "report.svg").write_text(picture(facts, found), encoding="utf-8")
    return text


def page(facts: Mapping[str, Any], found: Found) -> str:
    """The report as Markdown."""
    lines = [
        "# Figures",
        "",
        f"`make {'bench-quick' if facts['profile'] == 'quick' else 'bench'}`, "
        f"{facts['measured_at']}. {conditions(facts)}",
        "",
        "Medians, with the spread (least-most). Ratios are taken within a round, in which "
        "contenders take turns. *Beside peers*: what the others took for the same work, as a "
        "multiple of ours. *Beside the limit*: the least that this machine could need.",
        "",
        "![Figures beside their goals](report.svg)",
        "",
        "| figure | goal | reached | | beside peers | beside the limit |",
        "|---|---|---|---|---|---|",
    ]
    lines += [_row(figure, reading) for figure, reading in found]
    short = [_short(figure) for figure, reading in found if reading and not _met(figure, reading)]
    if short:
        lines += ["", "## Where it falls short, why, and what is next", "", *short]
    lines += ["", "## Runs", "", *_runs(facts["runs"]), ""]
    return "\n".join(lines)


def picture(facts: Mapping[str, Any], found: Found) -> str:
    """The report as SVG."""
    bars = [
        Bar(
            figure.what.replace("`", ""),
            figure.progress(reading),
            _brief(reading.shown),
            figure.goal_text,
        )
        for figure, reading in found
        if reading and figure.goal is not None
    ]
    met = sum(bar.progress >= 1 for bar in bars)
    return draw(
        f"rag-assets: {met} of {len(bars)} figures at or past their goal", conditions(facts), bars
    )


def conditions(facts: Mapping[str, Any]) -> str:
    """Machine and load in a sentence."""
    box = facts["machine"]
    loads = [run["load_average"] for run in facts["runs"].values() if "load_average" in run]
    least, most = min(loads, default=box["load_average"]), max(loads, default=box["load_average"])
    load = f"load average {least}-{most}"
    return f"{box['processor']}, {box['cores']} cores, {box['memory_gb']} GB, {load}."


def _row(figure: Figure, reading: Reading | None) -> str:
    if reading is None:
        return f"| {figure.what} | {figure.goal_text} | not measured | | | |"
    mark = "reached" if _met(figure, reading) else "**short**"
    return (
        f"| {figure.what} | {figure.goal_text} | {reading.shown} | {mark} | {reading.to_peer} | "
        f"{reading.to_limit} |"
    )


def _met(figure: Figure, reading: Reading) -> bool:
    return figure.progress(reading) >= 1


def _short(figure: Figure) -> str:
    return f"* **{figure.what}**: {figure.short or 'not known yet.'}"


def _brief(shown: str) -> str:
    words = shown.split(";")[0]
    return words if len(words) <= 34 else words.split(", ")[0]


def _runs(runs: Runs) -> list[str]:
    lines = ["| part | words | outcome | s | load average |", "|---|---|---|---:|---:|"]
    lines += [
        f"| {name} | {' '.join(run.get('words', ()))} | {run['outcome']} | "
        f"{run.get('seconds', '')} | {run.get('load_average', '')} |"
        for name, run in runs.items()
    ]
    packages = ", ".join(f"{name} {number}" for name, number in machine()["packages"].items())
    return [*lines, "", f"Python {machine()['python']}; {packages}."]
