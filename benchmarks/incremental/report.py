"""The results as Markdown and JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from statistics import median

from benchmarks.incremental.peers import versions
from benchmarks.incremental.roster import OURS, ROSTER
from benchmarks.incremental.scenarios import KILLED, LATER, SCENARIOS, Result
from benchmarks.keeping import keep, results_folder

_NAMES = (*(scenario.name for scenario in SCENARIOS), KILLED, LATER)


def write(name: str, documents: int, rounds: Sequence[Sequence[Result]], notes: str) -> str:
    """Write `<name>.md` and `<name>.json` to benchmarks/results; returns the Markdown."""
    results = [result for round_ in rounds for result in round_]
    facts = {
        "documents": documents,
        "rounds": len(rounds),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "measured_at": datetime.now(UTC).isoformat(timespec="minutes"),
        "load": os.getloadavg(),
    }
    text = _page(facts, results, notes)
    (results_folder() / f"{name}.md").write_text(text, encoding="utf-8")
    kept = {
        "facts": facts,
        "versions": {peer: versions(peer) for peer in sorted(_peers(results))},
        "results": [
            {"round": number, **asdict(result)}
            for number, round_ in enumerate(rounds, start=1)
            for result in round_
        ],
    }
    keep(name, kept)
    return text


def _peers(results: Iterable[Result]) -> set[str]:
    """The environments that took part."""
    return {found for one in results if (found := ROSTER[one.contender].environment)}


def _page(facts: dict[str, object], results: list[Result], notes: str) -> str:
    names = list(dict.fromkeys(result.contender for result in results))
    title = f"# {facts['documents']:,} documents, {facts['rounds']} rounds"
    conditions = (
        f"{facts['cores']} cores ({facts['machine']}), Python {facts['python']}, "
        f"{facts['measured_at']}; load {', '.join(f'{x:.1f}' for x in os.getloadavg())} at the "
        "end. Medians; the spread (least to most) in brackets."
    )
    sections = [
        (
            "Seconds of wall time",
            _table(names, results, lambda r: r.outcome.seconds, _spread),
        ),
        (
            "Seconds of CPU, client and server together",
            _table(names, results, lambda r: r.outcome.cpu_seconds + r.server_cpu_seconds, _spread),
        ),
        ("Wall time as a multiple of ours", _ratios(names, results, lambda r: r.outcome.seconds)),
        (
            "CPU as a multiple of ours",
            _ratios(names, results, lambda r: r.outcome.cpu_seconds + r.server_cpu_seconds),
        ),
        ("Chunks embedded", _table(names, results, lambda r: r.embedded, _whole)),
        ("Rows right / wrong / missing", _verdicts(names, results)),
        (
            "Peak memory of the client, MB",
            _table(names, results, lambda r: r.outcome.peak_rss_mb, _whole),
        ),
    ]
    body = "\n\n".join(f"## {head}\n\n{table}" for head, table in sections)
    return f"{title}\n\n{conditions}\n\n{body}\n\n{notes.strip()}\n"


Reading = Callable[[Result], float]


def _cell(results: Iterable[Result], name: str, scenario: str) -> list[Result]:
    return [r for r in results if r.contender == name and r.scenario == scenario]


def _rows(names: Sequence[str], cell: Callable[[str, str], str]) -> str:
    lines = ["| | " + " | ".join(_NAMES) + " |", "|---" + "|---:" * len(_NAMES) + "|"]
    lines += [
        f"| {ROSTER[name].title} | " + " | ".join(cell(name, s) for s in _NAMES) + " |"
        for name in names
    ]
    return "\n".join(lines)


def _table(
    names: Sequence[str],
    results: Sequence[Result],
    reading: Reading,
    show: Callable[[Sequence[float]], str],
) -> str:
    return _rows(names, lambda name, s: show([reading(r) for r in _cell(results, name, s)]))


def _ratios(names: Sequence[str], results: Sequence[Result], reading: Reading) -> str:
    def cell(name: str, scenario: str) -> str:
        theirs = [reading(r) for r in _cell(results, name, scenario)]
        ours = [reading(r) for r in _cell(results, OURS.name, scenario)]
        return f"{median(theirs) / median(ours):.1f}" if theirs and ours else "-"

    return _rows([name for name in names if name != OURS.name], cell)


def _verdicts(names: Sequence[str], results: Sequence[Result]) -> str:
    def cell(name: str, scenario: str) -> str:
        found = {
            f"{r.verdict.right} / {r.verdict.wrong} / {r.verdict.missing}"
            for r in _cell(results, name, scenario)
        }
        return "; ".join(sorted(found)) or "-"

    return _rows(names, cell)


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "-"
    if len(values) == 1:
        return f"{values[0]:.2f}"
    return f"{median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def _whole(values: Sequence[float]) -> str:
    return f"{median(values):.0f}" if values else "-"
