"""The asset graph of ingestion: five thin assets, each over one use case of rag.ingest.

No SQL, parsing or network here. A body opens its shard, calls one use case, and returns what the
stage reports. Use cases are imported by the step that needs them: a code location loads fast.
"""

# no `from __future__ import annotations`: dagster compares the annotation of `context` by identity
from collections.abc import Callable, Sequence

import dagster as dg

from rag_assets.metadata import run_table, stage_metadata
from rag_assets.partitions import collections_partitions
from rag_assets.shards import open_shard
from resources.workshop import WorkshopResource

GROUP = "ingest"


Body = Callable[..., dg.MaterializeResult[None]]


def _stage(
    name: str,
    *tables: str,
    kinds: set[str],
    deps: Sequence[dg.AssetsDefinition] = (),
    pool: str | None = None,
) -> Callable[[Body], dg.AssetsDefinition]:
    """An asset of the ingest group.

    Without a backfill policy on purpose: so each partition gets a run of its own with the tag
    dagster/partition; `multi_run(1)` would launch runs over ranges of one, which are not counted
    by the limit of one run per partition, and whose check results belong to no partition."""
    return dg.asset(
        deps=deps,
        kinds=kinds,
        pool=pool,
        tags={"stage": name},
        group_name=GROUP,
        owners=["team:data-platform"],
        partitions_def=collections_partitions,
        metadata={
            "dagster/table_name": tables[0],
            "dagster/storage_kind": "postgres",
            "tables": ", ".join(tables),
        },
    )


@_stage("register", "document", "document_version", kinds={"s3", "postgres"})
def raw_documents(
    context: dg.AssetExecutionContext, workshop: WorkshopResource
) -> dg.MaterializeResult[None]:
    """The manifest: every document the collection's sources hold, and every version it has had.

    **Promises.** After a materialisation the manifest equals the sources: new and changed objects
    are registered with the SHA-256 of their bytes, renamed ones keep their identity, and what is
    gone is gone from search too. A change is known by object name, etag and version, never by a
    timestamp, so files written in the same second are all seen.

    **Deletes with care.** Only a listing that reached its end deletes. When more than
    `deletion_share` of a source vanishes at once a breaker holds the deletions until a later
    listing, or a person, confirms them (check `nothing_held`).

    **Lives in** the tables `document` and `document_version`; the bytes stay in their bucket.
    """
    from rag.ingest.register import register_documents

    with open_shard(context, workshop) as (shop, shard):
        return dg.MaterializeResult(metadata=stage_metadata(register_documents(shop, shard)))


@_stage("parse", "parsed", kinds={"docling", "postgres"}, deps=[raw_documents])
def parsed_documents(
    context: dg.AssetExecutionContext, workshop: WorkshopResource
) -> dg.MaterializeResult[None]:
    """Text in reading order, with headings, lists, tables and pages as spans over it.

    **Promises.** Each content is parsed once per namespace and parser: a rename, a copy or a
    second run costs no parse. Files are read in confined child processes with limits on time,
    memory, pages and inflated size, so a hostile file fails alone.

    **When a file fails** it is listed below with a stable code and a reason, the version that was
    searchable stays searchable, and it is tried again when it changes, when its retry is due, or
    on `rag retry`.

    **Lives in** the table `parsed`, by (namespace, parser fingerprint, content hash).
    """
    from rag.ingest.parse import parse_documents

    with open_shard(context, workshop) as (shop, shard):
        return dg.MaterializeResult(metadata=stage_metadata(parse_documents(shop, shard)))


@_stage("chunk", "chunk", "chunk_set", kinds={"python", "postgres"}, deps=[parsed_documents])
def chunks(
    context: dg.AssetExecutionContext, workshop: WorkshopResource
) -> dg.MaterializeResult[None]:
    """Passages that fit the embedding model, with headings, pages and character offsets.

    **Promises.** Cut at the borders of the text's own structure, sized in the model's tokens, and
    deterministic: the same text under the same settings gives the same chunks. What is put before
    a chunk when it is embedded (title, headings) is kept beside it, never inside it.

    **Lives in** the tables `chunk_set` and `chunk`, by (parsed text, chunker fingerprint). The
    preview shows the newest.
    """
    from rag.ingest.chunk import cut_chunks

    with open_shard(context, workshop) as (shop, shard):
        return dg.MaterializeResult(metadata=stage_metadata(cut_chunks(shop, shard)))


@_stage(
    "embed",
    "embedding",
    kinds={"huggingface", "openvino", "pgvector"},
    deps=[chunks],
    pool="embedding",
)
def embeddings(
    context: dg.AssetExecutionContext, workshop: WorkshopResource
) -> dg.MaterializeResult[None]:
    """A unit vector for every distinct passage of the shard.

    **Promises.** A text is embedded once per namespace and model, however many documents hold it:
    an edit costs its changed chunks, a rename nothing. This is the stage that costs; it takes a
    slot of the pool `embedding`, and a run that is stopped here keeps what it has embedded.

    **Lives in** the table `embedding` (halfvec), by (namespace, model fingerprint, text hash).
    """
    from rag.ingest.embed import embed_chunks

    with open_shard(context, workshop) as (shop, shard):
        return dg.MaterializeResult(metadata=stage_metadata(embed_chunks(shop, shard)))


@_stage(
    "publish",
    "search_row",
    "publication",
    "generation",
    kinds={"pgvector", "postgres"},
    deps=[embeddings],
)
def search_index(
    context: dg.AssetExecutionContext, workshop: WorkshopResource
) -> dg.MaterializeResult[None]:
    """What search reads: the newest whole version of each document, vectors and words.

    **Promises.** A document is served whole or not at all: its rows are replaced in one
    transaction, and an older version never replaces a newer one. Rows belong to a *generation*,
    one build of the collection under one parser, chunker and model. A new configuration is built
    beside the live generation and goes live when it has caught up, by moving one pointer; where
    the collection is gated it waits for the gate, and a run keeps both current meanwhile.

    **Lives in** the tables `generation`, `publication` and `search_row`.
    """
    from rag.ingest.current import publish_everywhere
    from rag.store.ledger import stages_of_run

    with open_shard(context, workshop) as (shop, shard):
        metadata = stage_metadata(publish_everywhere(shop, shard))
        times = run_table(stages_of_run(shop.conn, shop.run_id))
        return dg.MaterializeResult(metadata={**metadata, "time": dg.MetadataValue.md(times)})


INGEST_ASSETS = (raw_documents, parsed_documents, chunks, embeddings, search_index)
