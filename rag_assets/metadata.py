"""What a materialisation shows of a stage: numbers that plot, facts, failures, a preview."""

from __future__ import annotations

import shlex
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    from rag.ingest.workshop import StageReport

# a page of the UI, not an archive: the store keeps every dead letter
FAILURES_SHOWN = 50

Metadata = dict[str, dg.MetadataValue[Any]]

# which count is the number of rows the shard now has: Dagster plots it on the asset's page
_ROWS = {
    "raw_documents": "listed",
    "parsed_documents": "up_to_date",
    "chunks": "total",
    "embeddings": "chunks",
    "search_index": "served_chunks",
}


def stage_metadata(report: StageReport) -> Metadata:
    """The report as Dagster metadata: every count an int, `seconds` a float, `failures` always."""
    metadata: Metadata = {
        name: dg.MetadataValue.int(number) for name, number in report.counts.items()
    }
    metadata["seconds"] = dg.MetadataValue.float(round(report.seconds, 3))
    for name, fact in report.facts.items():
        metadata[name.replace(" ", "_")] = _fact(fact)
    rows = report.counts.get(_ROWS.get(report.stage, ""))
    if rows is not None:
        metadata["dagster/partition_row_count"] = dg.MetadataValue.int(rows)
    metadata["failures"] = dg.MetadataValue.md(failures_table(report.failures))
    if report.preview:
        metadata["preview"] = dg.MetadataValue.md(preview_table(report.preview))
    if examples := report.lineage or report.preview:
        metadata["lineage"] = dg.MetadataValue.md(lineage_table(examples))
    return metadata


def run_table(stages: Sequence[Mapping[str, Any]]) -> str:
    """Where the time of a run went, as a Markdown table: its stages so far, and what lay between
    them (checks, Dagster's own steps)."""
    begun = min(row["ended_at"].timestamp() - row["seconds"] for row in stages)
    whole = max(row["ended_at"].timestamp() for row in stages) - begun
    spent = [(row["stage"], row["seconds"], _outcome(row["counts"])) for row in stages]
    between = whole - sum(row["seconds"] for row in stages)
    spent.append(("between the stages", max(0.0, between), ""))
    rows = [
        (name, f"{seconds:.2f}", f"{seconds / whole:.0%}" if whole > 0 else "", outcome)
        for name, seconds, outcome in spent
    ]
    return markdown_table(("stage", "seconds", "share", "what it did"), rows)


def _outcome(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in counts.items() if number)


def failures_table(failures: Sequence[Mapping[str, Any]]) -> str:
    """What failed and why, as a Markdown table; `none` when nothing did."""
    if not failures:
        return "none"
    columns = ("document", "stage", "code", "reason", "attempts", "next retry")
    rows = [
        (row["uri"], row["stage"], row["code"], row["reason"], row["attempts"],
         _retry(row["next_retry_at"]))
        for row in failures[:FAILURES_SHOWN]
    ]  # fmt: skip
    table = markdown_table(columns, rows)
    hidden = len(failures) - FAILURES_SHOWN
    return f"{table}\n\n… and {hidden} more: `rag status` lists all." if hidden > 0 else table


def preview_table(chunks: Sequence[Mapping[str, Any]]) -> str:
    """A few chunks as a Markdown table."""
    rows = [
        (row["uri"], row["ordinal"], row["page_first"] or "", " / ".join(row["headings"]),
         row["tokens"], row["text"])
        for row in chunks
    ]  # fmt: skip
    return markdown_table(("document", "chunk", "page", "heading", "tokens", "text"), rows)


def lineage_table(chunks: Sequence[Mapping[str, Any]]) -> str:
    """Where a few chunks come from, as a Markdown table: the version of their document, the
    configurations, links to the runs that made them, and the command that shows the whole chain."""
    columns = ("document", "chunk", "version", "sha256", "parser", "chunker", "runs", "see all")
    rows = [
        (row["uri"], row["ordinal"], row["version_id"], row["content_hash"][:16], row["parser"],
         row["chunker"], _runs(row), _lineage_command(row))
        for row in chunks
    ]  # fmt: skip
    return markdown_table(columns, rows)


class _Markdown(str):
    """Markup of our own making, no word of a document in it."""

    __slots__ = ()


def _runs(row: Mapping[str, Any]) -> _Markdown:
    """The runs of each step; one that kept another generation current ends in `+other`."""
    steps = ("registered", "parsed", "cut", "published")
    made = [(step, str(row.get(f"{step}_by_run") or "").partition("+")[0]) for step in steps]
    return _Markdown(", ".join(f"[{step}](/runs/{run})" for step, run in made if run))


def _lineage_command(row: Mapping[str, Any]) -> str:
    name = f"{row['namespace']}/{row['collection']}"
    return f"rag lineage {name} {shlex.quote(row['uri'])} --chunk {row['ordinal']}"


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A pipe table whose cells can not break it."""
    head = [_line(columns), "|" + " --- |" * len(columns)]
    return "\n".join([*head, *(_line(row) for row in rows)])


def _line(cells: Iterable[object]) -> str:
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(value: object) -> str:
    if isinstance(value, _Markdown):
        return value
    text = " ".join(str(value).split())
    # documents are strangers: neither a pipe nor markup of theirs may shape the page
    for character, safe in (("\\", "\\\\"), ("|", "\\|"), ("<", "&lt;"), ("`", "'"), ("[", "\\[")):
        text = text.replace(character, safe)
    return text


def _retry(at: datetime | None) -> str:
    return at.isoformat(timespec="seconds") if at else "on change"


def _fact(fact: str | float) -> dg.MetadataValue[Any]:
    if isinstance(fact, str):
        return dg.MetadataValue.text(fact)
    return dg.MetadataValue.int(fact) if isinstance(fact, int) else dg.MetadataValue.float(fact)


def svg_image(name: str, svg: str) -> str:
    """A picture as Markdown that needs nothing from elsewhere."""
    return f"![{name}](data:image/svg+xml;base64,{b64encode(svg.encode()).decode()})"
