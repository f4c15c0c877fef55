"""Memory of the ingest process, up to a million rows: it must not grow with them.

python -m benchmarks.incremental memory [documents ...]
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.incremental.roster import OURS
from benchmarks.incremental.scenarios import SCENARIOS, Lane, Result
from benchmarks.incremental.server import running_server
from benchmarks.keeping import keep, results_folder

SIZES = (1_000, 10_000, 125_000)


def main(arguments: Sequence[str]) -> None:
    """A cold update and one with nothing to do, at each size."""
    sizes = [int(argument) for argument in arguments] or list(SIZES)
    with tempfile.TemporaryDirectory(prefix="rag-bench-") as folder:
        home = Path(folder)
        with running_server(home / "server") as server:
            rows = []
            for size in sizes:
                lane = Lane(OURS, server, home / "lanes", size, seed=1)
                rows.append((size, [lane.go(scenario) for scenario in SCENARIOS[:2]]))
                lane.close()
                print(_line(*rows[-1]), flush=True)
                # after each size: the last one takes long
                _write(rows)


def _line(size: int, results: Sequence[Result]) -> str:
    cold, noop = (result.outcome for result in results)
    return (
        f"| {size:,} | {results[0].verdict.right:,} | {cold.peak_rss_mb:.0f} | {cold.seconds:.1f} "
        f"| {noop.peak_rss_mb:.0f} | {noop.seconds:.2f} |"
    )


def _write(rows: Sequence[tuple[int, Sequence[Result]]]) -> None:
    head = (
        "# Memory of the ingest process\n\n"
        "Peak resident memory (VmHWM) of one process that brings an empty index up to date, and of "
        "one that finds\nnothing to do. The free embedder and parser: what the engine itself "
        "holds.\n\n"
        "| documents | rows right | cold, MB | cold, s | no-op, MB | no-op, s |\n"
        "|---:|---:|---:|---:|---:|---:|\n"
    )
    lines = [_line(size, results) for size, results in rows]
    (results_folder() / "incremental-memory.md").write_text(
        head + "\n".join(lines) + "\n", encoding="utf-8"
    )
    found = [
        {
            "documents": size,
            "cold_mb": cold.outcome.peak_rss_mb,
            "noop_mb": noop.outcome.peak_rss_mb,
        }
        for size, (cold, noop) in rows
    ]
    keep("incremental-memory", found)
