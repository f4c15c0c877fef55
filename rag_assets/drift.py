"""The checks of drift: thin verdicts over rag.drift."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import dagster as dg

from rag_assets.checks import Contract, checks_of
from rag_assets.metadata import markdown_table, svg_image
from rag_assets.verdicts import ERROR, WARN, Verdict

if TYPE_CHECKING:
    from rag.drift.judgement import Judgement
    from rag.ingest.workshop import Workshop
    from rag.model import Shard


def mix_drift(shop: Workshop, shard: Shard) -> Verdict:
    """Types, languages and lengths of recent documents are like those of the reference."""
    from rag.drift import judgement, watch

    found = watch.documents(shop, shard, judgement.mix_drift)
    watch.keep(shop, shard, "mix_drift", found)
    return _verdict(found, "documents")


def embedding_drift(shop: Workshop, shard: Shard) -> Verdict:
    """The vectors of recent documents are distributed like those of the reference."""
    from rag.drift import judgement, watch

    found = watch.documents(shop, shard, judgement.embedding_drift)
    watch.keep(shop, shard, "embedding_drift", found)
    return _verdict(found, "documents")


def topic_drift(shop: Workshop, shard: Shard) -> Verdict:
    """No more recent documents are far from every cluster of the reference than were before."""
    from rag.drift import judgement, watch

    found = watch.documents(shop, shard, judgement.topic_drift)
    watch.keep(shop, shard, "topic_drift", found)
    return _verdict(found, "documents")


def query_drift(shop: Workshop, shard: Shard) -> Verdict:
    """What is asked is like what was asked, and as near to what the documents say."""
    from rag.drift import watch

    found = watch.queries(shop, shard)
    watch.keep(shop, shard, "query_drift", found)
    return _verdict(found, "questions")


def outcome_drift(shop: Workshop, shard: Shard) -> Verdict:
    """No more questions find nothing, little or no answer, or displease, than did before."""
    from rag.drift import watch

    found = watch.outcomes(shop, shard)
    watch.keep(shop, shard, "outcome_drift", found)
    return _verdict(found, "questions")


def drift_checks() -> list[dg.AssetChecksDefinition]:
    """One step of checks per asset, none of them blocking."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [
            checks_of("parsed_documents_drift", "parsed_documents", (Contract(mix_drift),)),
            checks_of(
                "embeddings_drift",
                "embeddings",
                (Contract(embedding_drift), Contract(topic_drift)),
            ),
            checks_of(
                "search_index_drift",
                "search_index",
                (Contract(query_drift), Contract(outcome_drift)),
            ),
        ]


def _verdict(found: Judgement, what: str) -> Verdict:
    sizes: dict[str, int | float] = {"reference": found.reference, "recent": found.recent}
    if not found.findings:
        words = (
            f"Not judged: {found.recent} recent {what}, {found.reference} in the reference, and "
            "`drift_min_sample` of each are needed."
        )
        return Verdict(True, words, sizes, WARN)
    for item in found.findings:
        sizes |= {item.name: round(item.value, 4), f"{item.name}_p": round(item.p_value, 5)}
    moved = [item for item in found.findings if item.state != "alike"]
    words = ", ".join(f"{item.name} {item.value:.2f} (warn {item.warn:g})" for item in moved)
    return Verdict(
        not moved,
        f"The last {found.recent} {what} differ from the {found.reference} of the reference: "
        f"{words}. If they are welcome, `rag drift accept` makes them the reference."
        if moved
        else f"The last {found.recent} {what} are like the {found.reference} of the reference.",
        sizes,
        ERROR if found.state == "far" else WARN,
        facts={"tests": _tests(found)}
        | ({"plot": svg_image("plot", found.plot)} if found.plot else {}),
    )


def _tests(found: Judgement) -> str:
    rows = [
        (item.name, f"{item.value:.3f}", item.warn, item.fail, f"{item.p_value:.2g}", item.state)
        for item in found.findings
    ]
    return markdown_table(("measure", "value", "warn", "fail", "p", "verdict"), rows)
