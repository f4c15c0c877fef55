"""Ours beside others, as Markdown and in a line; without what measures."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

NAME = "search-peers"
OURS = "ours"
Size = dict[str, Any]


def page(sizes: Sequence[Size]) -> str:
    """The figures of all sizes as Markdown."""
    lines = [
        "# Search beside others",
        "",
        "`python -m benchmarks.search.beside`; hybrid, k = 10, milliseconds unless said otherwise. "
        "Ours answers over HTTP, the others in their own process; times from the question to the "
        "texts, encoding included.",
    ]
    for size in sizes:
        lines += _size(size)
    return "\n".join(lines) + "\n"


def _size(size: Size) -> list[str]:
    box = size["machine"]
    ours = size["contenders"][OURS]
    words = size["with_all_words"]
    return [
        "",
        f"## {size['chunks']:,} chunks",
        "",
        f"{size['questions']} questions in {size['rounds']} rounds, one at a time; {box['cores']} "
        f"cores, load average {box['load_average']} at the end."
        + ("" if words is None else f" {words} of them have a passage with all of their words."),
        "",
        "| | p50 | p95 | times ours, p50 | times ours, p95 | processor, process "
        "| processor, Postgres | questions a second, 4 callers | recall@10, vectors alone "
        "| peak MB |",
        "|---|" + "---:|" * 9,
        *(
            f"| {one['title']} | {one['p50']:.1f} | {one['p95']:.1f} | "
            f"{times_ours(one, ours, 'p50'):.1f} | {times_ours(one, ours, 'p95'):.1f} | "
            f"{one['cpu_ms']['process']:.1f} | {one['cpu_ms']['postgres']:.1f} | "
            f"{one['per_second']:.0f} | {one['recall_at_10']:.3f} | {one['peak_mb']:.0f} |"
            for one in size["contenders"].values()
        ),
    ]


def times_ours(one: Size, ours: Size, percentile: str) -> float:
    """As a multiple of ours, taken within each round; the median of the rounds."""
    pairs = zip(one["rounds"], ours["rounds"], strict=True)
    return float(median(their[percentile] / our[percentile] for their, our in pairs))


def others(size: Size, percentile: str) -> str:
    """The others' times as multiples of ours, and the size they were measured at."""
    ours = size["contenders"][OURS]
    told = [
        f"{one['title']} {times_ours(one, ours, percentile):.1f}x"
        for name, one in size["contenders"].items()
        if name != OURS
    ]
    return f"in {size['chunks']:,} chunks, without HTTP: {', '.join(told)}"


def others_recall(size: Size) -> str:
    """The others' recall without a filter."""
    told = [
        f"{one['title']} {one['recall_at_10']:.3f}"
        for name, one in size["contenders"].items()
        if name != OURS
    ]
    return f"all of {size['chunks']:,} chunks: {', '.join(told)}"
