"""What the checks judge: pure verdicts over the store's counts of one shard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    from rag.ingest.workshop import Workshop
    from rag.model import Shard

WARN, ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a claim holds, how bad it is when it does not, and the numbers behind it."""

    passed: bool
    description: str
    numbers: Mapping[str, int | float] = field(default_factory=dict)
    severity: dg.AssetCheckSeverity = ERROR
    failures: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)


def nothing_held(shop: Workshop, shard: Shard) -> Verdict:
    """No deletion waits for confirmation."""
    from rag.store.collections import list_sources

    sources = list_sources(shop.conn, shop.collection(shard))
    held = [row for row in sources if row["breaker_documents"]]
    documents = sum(row["breaker_documents"] for row in held)
    if not held:
        return Verdict(True, "No deletion is held back.", {"documents_held": 0}, WARN)
    command = f"rag confirm-deletions {shard.name}"
    since = min(row["breaker_since"] for row in held)
    return Verdict(
        False,
        f"{documents} documents vanished from {', '.join(row['uri'] for row in held)} at once and "
        "stay searchable: a complete listing after `deletion_confirm_s` deletes them; "
        f"`{command}` lets it happen now.",
        {"documents_held": documents, "sources": len(held)},
        WARN,
        facts={
            "held_since": since.isoformat(timespec="seconds"),
            "command": f"`{command}`",
            "held": _held_table(held),
        },
    )


def _held_table(held: Sequence[Mapping[str, Any]]) -> str:
    from rag_assets.metadata import markdown_table

    rows = [
        (row["uri"], row["breaker_documents"], row["breaker_since"].isoformat(timespec="seconds"))
        for row in held
    ]
    return markdown_table(("source", "documents", "since"), rows)


def fetch_failures(shop: Workshop, shard: Shard) -> Verdict:
    """Every object of the sources could be fetched."""
    return _failures(shop, shard, "fetch")


def parse_failures(shop: Workshop, shard: Shard) -> Verdict:
    """Every registered document could be parsed."""
    return _failures(shop, shard, "parse")


def _failures(shop: Workshop, shard: Shard, stage: str) -> Verdict:
    from rag.store.ledger import open_letters
    from rag_assets.metadata import failures_table

    letters = open_letters(shop.conn, shop.collection(shard).id, [shard.index])
    failed = [row for row in letters if row["stage"] == stage]
    documents = _counts(shop, shard)["documents"]
    share = len(failed) / documents if documents else 0.0
    return Verdict(
        not failed,
        f"{len(failed)} of {documents} documents failed." if failed else "No document failed.",
        {"failed": len(failed), "documents": documents, "failed_share": round(share, 4)},
        ERROR if share > shop.settings.failure_share_error else WARN,
        failures_table(failed),
    )


def text_not_empty(shop: Workshop, shard: Shard) -> Verdict:
    """Every parsed document has words."""
    counts = _counts(shop, shard)
    empty = counts["empty"]
    return Verdict(
        empty == 0,
        f"{empty} of {counts['parsed']} parsed documents have no words: scans need OCR, or the "
        "files are empty."
        if empty
        else "Every parsed document has words.",
        {"empty": empty, "parsed": counts["parsed"], "partial": counts["partial"]},
        WARN,
    )


def chunk_sizes_in_bounds(shop: Workshop, shard: Shard) -> Verdict:
    """Every chunk has text and fits the model's window."""
    from rag.store import content

    window = shop.tokenizer.max_tokens - 2  # the model adds two tokens of its own
    build = shop.build(shard)
    bounds = content.select_one(shop.conn, "chunk_bounds", build, max_tokens=window)
    wrong = bounds["too_large"] + bounds["blank"]
    return Verdict(
        wrong == 0,
        f"{bounds['too_large']} chunks are longer than the model's {window} tokens, "
        f"{bounds['blank']} are blank."
        if wrong
        else f"All {bounds['chunks']} chunks have text and fit {window} tokens.",
        {**bounds, "window": window},
    )


def every_document_has_chunks(shop: Workshop, shard: Shard) -> Verdict:
    """Every parsed document with words was cut into at least one chunk."""
    counts = _counts(shop, shard)
    uncut = counts["parsed"] - counts["cut"]
    bare = counts["without_chunks"] - counts["empty"]
    return Verdict(
        uncut == 0 and bare <= 0,
        f"{uncut} parsed documents are not cut, {max(bare, 0)} with words gave no chunk."
        if uncut or bare > 0
        else "Every document with words has chunks.",
        {"uncut": uncut, "without_chunks": counts["without_chunks"], "cut": counts["cut"]},
    )


def embeddings_complete_and_sound(shop: Workshop, shard: Shard) -> Verdict:
    """Every chunk has a finite vector of the model's dimension and of length 1."""
    from rag.store import content

    build = shop.build(shard)
    dimension = shop.embedder.dimension
    faults = content.select_one(shop.conn, "embedding_faults", build, dimension=dimension)
    missing = _counts(shop, shard)["chunks"] - faults["checked"]
    wrong = faults["wrong_dimension"] + faults["not_unit"]
    return Verdict(
        missing == 0 and wrong == 0,
        f"{missing} chunks have no vector, {faults['wrong_dimension']} a vector that is not of "
        f"{dimension} dimensions, {faults['not_unit']} one that is not of length 1."
        if missing or wrong
        else f"All {faults['checked']} chunks have a sound vector.",
        {**faults, "missing": missing, "dimension": dimension},
    )


def index_parity(shop: Workshop, shard: Shard) -> Verdict:
    """The index serves exactly what was published: no row too few or too many, nothing deleted."""
    from rag.store import index

    generation = index.ensure_generation(shop.conn, shop.build(shard), shop.run_id)
    live = shop.collection(shard).live_generation_id
    # searches read the live generation, which is another one while a new configuration is built
    ids = {generation.id} if live is None else {generation.id, live}
    numbers = {"generations": len(ids)}
    for number in sorted(ids):
        for name, count in index.parity(
            shop.conn, index.Generation(number, number == live)
        ).items():
            numbers[name] = numbers.get(name, 0) + count
    differing = abs(numbers["chunks_promised"] - numbers["chunks_served"])
    faults = ("broken_documents", "orphan_rows", "deleted_documents")
    passed = differing == 0 and not any(numbers[name] for name in faults)
    return Verdict(
        passed,
        f"{numbers['chunks_served']} chunks of {numbers['documents']} documents are served, as "
        "published."
        if passed
        else "The index differs from what was published: "
        + ", ".join(f"{numbers[name]} {name.replace('_', ' ')}" for name in faults)
        + f", {differing} chunks too many or too few.",
        numbers,
    )


def _counts(shop: Workshop, shard: Shard) -> dict[str, int]:
    from rag.store import content

    return content.select_one(shop.conn, "stage_counts", shop.build(shard))
