"""What the demo has to show: documents, stages, answers, and where to look next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from shutil import which
from typing import TYPE_CHECKING, Any

from rag.cli.stages import LABELS
from rag.cli.standing_view import state_cell
from rag.cli.terminal import escape, plural, say, table
from rag.store import standing

if TYPE_CHECKING:
    from rag.cli.backend import Backend
    from rag.cli.waiting import Current
    from rag.model import CollectionName
    from rag.search import SearchResult
    from rag.store.collections import Collection

_PASSAGES = 2
_QUOTE = 280


@dataclass(frozen=True, slots=True)
class Outcome:
    """The state after the demo's wait; `stages` is what runs did during it, empty when there was
    none."""

    collection: str
    documents: Sequence[Mapping[str, Any]]
    stages: Sequence[Mapping[str, Any]]
    counts: Mapping[str, Any]
    current: Current
    seconds: float = 0.0
    answers: Sequence[tuple[str, SearchResult]] = ()

    @property
    def has_changed(self) -> bool:
        """Whether runs did something: the hourly one may come just now, and find nothing to do."""
        documents = self.counts["documents"]
        changed = sum(documents.values()) - documents["unchanged"] - documents["failed"]
        return bool(changed or self.counts["parsed"] or self.counts["embedded"])


def gather(backend: Backend, found: Collection, mark: int, current: Current) -> Outcome:
    """Read what there is to show."""
    from rag.cli.ingest import summed

    stages = standing.stages_since(backend.conn, found.id, mark)
    documents = standing.documents(backend.conn, found.id)
    counts = summed(stages)
    # what stands failed, also when no run was necessary
    failed = sum(row["state"] == "failed" for row in documents)
    counts["documents"] = {**counts["documents"], "failed": failed}
    return Outcome(str(found.name), documents, stages, counts, current)


def ask(
    backend: Backend, name: CollectionName, questions: Sequence[str]
) -> list[tuple[str, SearchResult]]:
    """The questions with their best passages."""
    from rag.cli.backend import load_embedder
    from rag.search import search

    embedder = load_embedder(backend.settings)
    return [
        (question, search(backend.conn, embedder, name, question, k=_PASSAGES))
        for question in questions
    ]


def show_documents(outcome: Outcome) -> None:
    """The table of documents, and what each stage did."""
    table(
        ["document", "type", "pages", "chunks", "state", "seconds"],
        [_document_cells(row) for row in outcome.documents],
        right=["pages", "chunks", "seconds"],
        fixed=["type", "state"],
    )
    if outcome.has_changed:
        _show_stages(outcome)
    else:
        said = escape(outcome.current.sensor_said.rstrip("."))
        why = f"The sensor looked ({said}), so no run was necessary"
        if outcome.stages:
            why = "A run on Dagster's schedule looked, and found nothing to do"
        say(f"[bold]Nothing changed: 0 parsed, 0 embedded.[/bold] {why}; {outcome.seconds:.0f} s.")


def _document_cells(row: Mapping[str, Any]) -> tuple[object, ...]:
    path = PurePosixPath(row["uri"])
    state = state_cell(row["state"])
    if row["code"]:
        state += f" [dim]({row['code']})[/dim]"
    seconds = row["parse_seconds"]
    return (
        escape(path.name), path.suffix.removeprefix("."), row["page_count"], row["chunk_count"],
        state, None if seconds is None else f"{seconds:.2f}",
    )  # fmt: skip


def _show_stages(outcome: Outcome) -> None:
    table(
        ["stage", "what", "did", "failed", "seconds"],
        [_stage_cells(row) for row in outcome.stages],
        right=["failed", "seconds"],
        fixed=["stage", "what"],
    )
    counts = outcome.counts
    documents = counts["documents"]
    changed = ", ".join(f"{count:,} {state}" for state, count in documents.items() if count)
    work = (
        f"{counts['parsed']:,} parsed, {counts['chunks']:,} chunks, {counts['embedded']:,} embedded"
    )
    say(f"{changed}: {work}; {outcome.seconds:.0f} s from bucket to index.")


_DID = {
    "raw_documents": ("new", "changed", "renamed", "deleted", "unchanged"),
    "parsed_documents": ("parsed", "partial", "pages"),
    "chunks": ("documents", "chunks", "tokens"),
    "embeddings": ("embedded",),
    "search_index": ("documents", "chunks"),
}


def _stage_cells(row: Mapping[str, Any]) -> tuple[object, ...]:
    counts = row["counts"]
    did = [
        f"{counts[name]:,} {name}"
        for name in _DID.get(row["stage"], ())
        if counts.get(name) or name in ("parsed", "embedded")
    ]
    label = LABELS.get(row["stage"], (row["stage"], ""))[0]
    return (
        row["stage"], label, ", ".join(did) or "nothing to do", counts.get("failed", 0),
        f"{row['seconds']:.2f}",
    )  # fmt: skip


def show_answers(outcome: Outcome) -> None:
    """Each question with the passages found."""
    from rag.cli.search import show_hit

    for question, result in outcome.answers:
        say(f"\n[bold cyan]? {escape(question)}[/bold cyan]")
        for number, hit in enumerate(result.hits, start=1):
            show_hit(number, hit, question, _QUOTE)


def show_end(outcome: Outcome) -> None:
    """Where to go from here."""
    failed = sum(row["state"] == "failed" for row in outcome.documents)
    name = outcome.collection
    if failed:
        why = "one is corrupt, one needs a password; the others are not affected"
        say(f"\n{plural(failed, 'document')} failed on purpose: {why}.")
    rag = "rag" if which("rag") else ".venv/bin/rag"
    signposts = {
        "make dev": "the same stack, kept up: the web page on http://127.0.0.1:7860, Dagster on "
        "http://127.0.0.1:3000",
        f'{rag} search {name} "..."': "a question of your own",
        f"{rag} status {name}": "what failed and why, generations, runs",
        f"{rag} ingest FOLDER -c my/docs": "your own documents",
        "docs/commands.md, docs/settings.md": "every command and setting",
    }
    width = max(map(len, signposts)) + 2
    say("\n[bold]Where to look next[/bold]")
    for command, meaning in signposts.items():
        say(f"  {escape(command.ljust(width))}{meaning}")


def as_object(outcome: Outcome) -> dict[str, object]:
    """The demo as JSON."""
    from rag.cli.search import hit_object

    return {
        "collection": outcome.collection,
        **outcome.counts,
        "seconds": round(outcome.seconds, 1),
        "runs": list(outcome.current.run_ids),
        "sensor": outcome.current.sensor_said,
        "table": list(outcome.documents),
        "stages": list(outcome.stages),
        "questions": [
            {"question": question, "hits": [hit_object(hit) for hit in result.hits]}
            for question, result in outcome.answers
        ],
    }
