"""Which configurations a run works under: the collection's own, and those of other generations in
use, so that the live one and a candidate stay current side by side."""

from __future__ import annotations

from dataclasses import replace

from rag.errors import RagError
from rag.ingest.chunk import cut_chunks
from rag.ingest.embed import embed_chunks
from rag.ingest.parse import parse_documents
from rag.ingest.publish import publish_documents
from rag.ingest.workshop import StageReport, Workshop
from rag.model import Shard
from rag.recipe import Recipe, recipe_of, under
from rag.store import generations
from rag.store.database import Row


def in_force(shop: Workshop, shard: Shard) -> Workshop:
    """The workshop under the recipe of the shard's collection, where it has one of its own."""
    own = generations.standing(shop.conn, shop.collection(shard).id)["recipe"]
    return with_recipe(shop, own)


def with_recipe(shop: Workshop, recipe: Recipe) -> Workshop:
    """The workshop with another recipe, and the engines that it needs. Raises ConfigurationError
    (`bad_recipe`)."""
    settings = under(shop.settings, recipe)
    if recipe_of(settings) == recipe_of(shop.settings):
        return shop
    tokenizer, embedder = shop.open_engines(settings)
    return replace(shop, settings=settings, tokenizer=tokenizer, embedder=embedder)


def publish_everywhere(shop: Workshop, shard: Shard) -> StageReport:
    """Publish the shard in the generation of the configuration in force, then bring every other
    generation in use up to date. One that can not be says so in the report, and stops nothing."""
    report = publish_documents(shop, shard)
    collection_id = shop.collection(shard).id
    is_gated = generations.standing(shop.conn, collection_id)["is_gated"]
    for row in generations.in_use(shop.conn, collection_id):
        # without a gate nobody waits for a candidate: one that is left behind is left alone
        if row["id"] == report.facts["generation"] or not (is_gated or row["state"] == "live"):
            continue
        fact = f"generation {row['id']}"
        try:
            report.facts[fact] = _brought_up_to_date(shop, shard, row)
        except RagError as error:
            report.facts[fact] = f"not kept current ({error.code}): {error.message}"
    return report


def _brought_up_to_date(shop: Workshop, shard: Shard, row: Row) -> str:
    other = replace(with_recipe(shop, row["recipe"]), holds=True, run_id=f"{shop.run_id}+other")
    build = other.build(shard)
    if (build.parser_id, build.chunker_id, build.model_id) != (
        row["parser_id"], row["chunker_id"], row["model_id"],
    ):  # fmt: skip
        return "not kept current: its parser or its model's files are not those it was built with"
    for stage in (parse_documents, cut_chunks, embed_chunks):
        stage(other, shard)
    published = publish_documents(other, shard)
    return f"{published.counts['documents']} documents brought up to date"
