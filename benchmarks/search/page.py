"""The figures of all sizes as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Figures = dict[str, Any]


def page(sizes: Sequence[Figures]) -> str:
    """One page; a column for each size."""
    heads = [f"{row['chunks']:,}" for row in sizes]
    lines = [
        "# Search, by the number of chunks",
        "",
        "`python -m benchmarks.search`; milliseconds unless said otherwise. POST /query, hybrid, "
        "k = 10. Each question is new to the service; its words were met before, but for some in "
        "the first rows.",
        "",
        *_table("chunks", heads, [
            *_percentiles("words never met before, one at a time", sizes, "words_first_met"),
            *_percentiles("one at a time", sizes, "one_at_a_time"),
            *_percentiles("open loop", sizes, "open_loop"),
            ("open loop: questions a second, failed", [
                f"{row['http']['open_loop']['rate']:.0f}, {row['http']['open_loop']['failed']}"
                for row in sizes
            ]),
            ("closed loop, 4 callers: questions a second", [
                f"{row['http']['throughput']:.0f}" for row in sizes
            ]),
            ("processor time in the service", [
                f"{row['http']['cpu_ms']['service']:.1f}" for row in sizes
            ]),
            ("processor time in Postgres", [
                f"{row['http']['cpu_ms']['postgres']:.1f}" for row in sizes
            ]),
            ("cores, load average at the end", [
                f"{row['cores']}, {row['load_average'][0]:.1f}" for row in sizes
            ]),
        ]),
        "",
        "## Where the time of a question goes (one at a time, medians)",
        "",
        *_table("chunks", heads, [
            (name, [f"{_shares(row)[name]:.1f} ({_shares(row)[name] / _whole(row):.0%})"
                    for row in sizes])
            for name in _shares(sizes[0])
        ]),
        "",
        "SQL is Postgres' processor time. The rest is Python, HTTP and waiting.",
        "",
        "## Parts of one search (in process, without encoding): p50, p95",
        "",
        *_table("chunks", heads, [
            (name, [f"{row['parts_ms'][name]['p50']:.1f}, {row['parts_ms'][name]['p95']:.1f}"
                    for row in sizes])
            for name in sizes[0]["parts_ms"]
        ]),
        "",
        "## Recall@10 of exact",
        "",
        *_table("rows let through", heads, [
            (name, [f"{row['recall_at_10_of_exact'][name]:.3f}" for row in sizes])
            for name in sizes[0]["recall_at_10_of_exact"]
        ]),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _percentiles(title: str, sizes: Sequence[Figures], loop: str) -> list[tuple[str, list[str]]]:
    return [
        (f"{title}, p{p}", [
            f"{row['http'][loop][f'p{p}']:.1f}" if loop in row["http"] else "-" for row in sizes
        ])
        for p in (50, 95, 99)
    ]  # fmt: skip


def _whole(row: Figures) -> float:
    return float(row["http"]["one_at_a_time"]["p50"])


def _shares(row: Figures) -> dict[str, float]:
    """Milliseconds of a median question, by where they are spent."""
    http = row["http"]
    encoding, sql = float(http["encode_ms"]), float(http["cpu_ms"]["postgres"])
    return {"encoding": encoding, "SQL": sql, "the rest": _whole(row) - encoding - sql}


def _table(
    corner: str, heads: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]]
) -> list[str]:
    return [
        f"| {corner} | {' | '.join(heads)} |",
        "|---|" + "---:|" * len(heads),
        *(f"| {name} | {' | '.join(cells)} |" for name, cells in rows),
    ]
