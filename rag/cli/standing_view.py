"""A collection's standing as people read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rag.cli.terminal import cell, escape, plural, say, table
from rag.freshness import percentiles

if TYPE_CHECKING:
    from rag.freshness import Freshness

_STATES = {
    "live": "green",
    "partial": "yellow",
    "pending": "cyan",
    "failed": "red",
    "deleted": "dim",
}


def show_overview(shown: Mapping[str, Any]) -> None:
    """Sources, documents by state, generations."""
    say(f"[bold]{shown['collection']}[/bold] ({plural(shown['shards'], 'shard')}, "
        f"{shown['language']})")  # fmt: skip
    say(f"documents: {states_line(shown['documents'])}")
    if not shown["sources"]:
        say(f"sources: none. `rag ingest URI --collection {shown['collection']}` binds one.")
    for row in shown["sources"]:
        say(f"source: {escape(row['uri'])}{chosen(row['options'])} "
            f"(last complete look: {cell(row['listed_at'])})")  # fmt: skip
        if row["breaker_documents"]:
            say(
                f"  [yellow]{plural(row['breaker_documents'], 'deletion')} held back since "
                f"{cell(row['breaker_since'])}[/yellow]: `rag confirm-deletions "
                f"{shown['collection']}` lets them through"
            )
    if shown["generations"]:
        _show_generations(shown["generations"])


def show_freshness(found: Freshness) -> None:
    """Whether the collection is as current as it should be, and how long changes took."""
    colour = {"fresh": "green", "late": "yellow", "stale": "red"}[found.state]
    say(f"freshness: [{colour}]{found.state}[/{colour}]. {found.words} {percentiles(found)}")


def chosen(options: Mapping[str, Any]) -> str:
    """Which objects are taken, in words; nothing when all are."""
    parts = [
        *(f"only {glob}" for glob in options.get("includes", ())),
        *(f"not {glob}" for glob in options.get("excludes", ())),
        *([f"at most {options['max_bytes']:,} bytes"] if "max_bytes" in options else []),
        *([f"since {options['since']}"] if "since" in options else []),
    ]
    return escape(f" ({', '.join(parts)})") if parts else ""


def states_line(counts: Mapping[str, int]) -> str:
    """`27 live, 2 failed`, in the states' colours."""
    parts = [
        f"[{colour}]{counts[state]:,} {state}[/{colour}]"
        for state, colour in _STATES.items()
        if counts.get(state)
    ]
    return ", ".join(parts) or "none yet"


def state_cell(state: str) -> str:
    """A document's state in its colour."""
    colour = _STATES.get(state, "default")
    return f"[{colour}]{state}[/{colour}]"


def _show_generations(rows: list[dict[str, Any]]) -> None:
    table(
        ["generation", "state", "documents", "chunks", "made", "parser", "chunker", "model"],
        [
            (
                row["id"], row["state"], row["documents"], row["chunks"], row["created_at"],
                *(row[kind].rpartition("-")[2][:8] for kind in ("parser", "chunker", "model")),
            )
            for row in rows
        ],
        right=["generation", "documents", "chunks"],
        fixed=["state", "made", "parser", "chunker", "model"],
    )  # fmt: skip


def show_failures(rows: list[dict[str, Any]]) -> None:
    """What failed, why, and when it is tried again."""
    table(
        ["document", "stage", "code", "reason", "tries", "next retry"],
        [
            (
                escape(row["uri"].rpartition("/")[2]),
                row["stage"],
                f"[red]{row['code']}[/red]",
                escape(row["reason"]),
                row["attempts"],
                row["next_retry_at"] or "on change or `rag retry`",
            )
            for row in rows
        ],
        title="Failures",
        right=["tries"],
        fixed=["stage", "code"],
    )


def show_runs(rows: list[dict[str, Any]]) -> None:
    """The last runs, a line each."""
    table(
        ["ended", "run", "new", "changed", "deleted", "failed", "parsed", "embedded", "seconds"],
        [_run_cells(row) for row in rows],
        title="Last runs",
        right=["new", "changed", "deleted", "failed", "parsed", "embedded", "seconds"],
        fixed=["ended", "run"],
    )


def _run_cells(row: Mapping[str, Any]) -> tuple[object, ...]:
    stages: Mapping[str, Mapping[str, int]] = row["stages"]
    raw = stages.get("raw_documents", {})
    parsed = stages.get("parsed_documents", {})
    return (
        row["ended_at"], row["run_id"][:8], raw.get("new"), raw.get("changed"),
        raw.get("deleted"), raw.get("failed", 0) + parsed.get("failed", 0), parsed.get("parsed"),
        stages.get("embeddings", {}).get("embedded"), row["seconds"],
    )  # fmt: skip
