"""What a change of recipe would cost, said before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from rag.chunking.chunker import cut_all
from rag.chunking.context import BLANK_LINE
from rag.fingerprint import digest
from rag.ingest.workshop import Workshop
from rag.model import Shard
from rag.store import content, generations
from rag.store.content import Build

# so many texts are cut for the estimate of the others
SAMPLE = 200
# bytes of a row beside its vector: keys, headers and its place in the indexes
_ROW_BYTES = 120
# before this installation has any figures of its own: two slow cores
_USUAL = {"parsed_documents": 5.0, "chunks": 2000.0, "embeddings": 40.0, "search_index": 5000.0}


@dataclass(frozen=True, slots=True)
class IndexPlan:
    """What building a generation means. `is_estimate`: some texts would be cut anew, and their
    chunks are estimated from `sampled` of them."""

    documents: int
    to_parse: int
    to_cut: int
    chunks: int
    vectors_reused: int
    vectors_new: int
    is_estimate: bool
    sampled: int
    seconds: float
    bytes: int
    rates: Mapping[str, float]
    is_own_figures: bool

    @property
    def minutes(self) -> float:
        return self.seconds / 60

    def as_object(self) -> dict[str, object]:
        """The plan as JSON."""
        return {**asdict(self), "minutes": round(self.minutes, 2)}


@dataclass(frozen=True, slots=True)
class _Sampled:
    texts: int = 0
    words: int = 0
    chunks: int = 0
    reused: int = 0
    new: int = 0


def plan_index(shop: Workshop, shard: Shard) -> IndexPlan:
    """What the workshop's recipe would cost the whole collection: read only, a few seconds.

    A document that must be parsed first counts with the mean of those that are cut."""
    build = shop.build(shard)
    known = generations.reach(shop.conn, build)
    sampled = _sample(shop, build)
    share = known["words_to_cut"] / sampled.words if sampled.words else 0.0
    cut = known["documents"] - known["to_parse"]
    # what is not parsed yet is expected to be as the rest
    growth = known["documents"] / cut if cut else 1.0
    chunks = round((known["chunks"] + sampled.chunks * share) * growth)
    new = known["vectors_new"] + sampled.new * share
    reused = known["vectors_reused"] + sampled.reused * share
    unknown = max(0.0, (new + reused) * (growth - 1))
    own = generations.rates(shop.conn)
    rates = {**_USUAL, **own}
    work = {
        "parsed_documents": known["to_parse"],
        "chunks": sampled.chunks * share,
        "embeddings": new + unknown,
        "search_index": chunks,
    }
    vector_bytes = 2 * shop.embedder.dimension + 8
    return IndexPlan(
        documents=known["documents"],
        to_parse=known["to_parse"],
        to_cut=known["to_cut"],
        chunks=chunks,
        vectors_reused=round(reused),
        vectors_new=round(new + unknown),
        is_estimate=bool(known["to_cut"] or known["to_parse"]),
        sampled=sampled.texts,
        seconds=sum(count / rates[stage] for stage, count in work.items()),
        bytes=round((new + unknown) * (vector_bytes + 60) + chunks * (vector_bytes + _ROW_BYTES)),
        rates=rates,
        is_own_figures="embeddings" in own,
    )


def _sample(shop: Workshop, build: Build) -> _Sampled:
    rows = generations.sample_to_cut(shop.conn, build, SAMPLE)
    hashes: list[bytes] = []
    documents = map(content.document_from_row, rows)
    for passages in cut_all(documents, shop.chunk_config, shop.tokenizer):
        for context, chunk in ((p.context, p.chunk) for p in passages):
            hashes.append(digest([(context and context + BLANK_LINE) + chunk.text]))
    distinct = set(hashes)
    known = generations.known_vectors(shop.conn, build, sorted(distinct))
    return _Sampled(
        texts=len(rows), words=sum(row["word_count"] for row in rows), chunks=len(hashes),
        reused=len(known), new=len(distinct) - len(known),
    )  # fmt: skip
