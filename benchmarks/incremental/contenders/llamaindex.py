"""LlamaIndex: IngestionPipeline with a Postgres docstore (batch 500) and PGVectorStore."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any

from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.node_parser import TextSplitter
from llama_index.core.schema import Document
from llama_index.storage.docstore.postgres import PostgresDocumentStore
from llama_index.storage.kvstore.postgres import PostgresKVStore
from llama_index.vector_stores.postgres import PGVectorStore
from pydantic import PrivateAttr

from benchmarks.incremental.job import Job, contender, documents, timed_transformer
from benchmarks.incremental.vectors import DIMENSION, Embedder


class Paragraphs(TextSplitter):
    """One node per paragraph."""

    def split_text(self, text: str) -> list[str]:
        return text.split("\n\n")


class FreeEmbedding(BaseEmbedding):
    """The common embedder."""

    _embedder: Embedder = PrivateAttr()

    def __init__(self, embedder: Embedder) -> None:
        super().__init__(model_name=embedder.model, embed_batch_size=2048)
        self._embedder = embedder

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        found: list[list[float]] = self._embedder.embed(texts).tolist()
        return found

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


@cache
def real_embedding(model: str) -> BaseEmbedding:
    """LlamaIndex's own embedder, as it comes."""
    from llama_index.embeddings.huggingface import HuggingFaceEmbedding

    return HuggingFaceEmbedding(model_name=model, device="cpu")


def embedding(job: Job) -> BaseEmbedding:
    if job.is_real:
        return real_embedding(job.model)
    return FreeEmbedding(Embedder(job.model, Path(job.counter)))


def load(job: Job) -> None:
    timed_transformer(job)
    real_embedding(job.model)


def pipeline(job: Job) -> IngestionPipeline:
    urls: dict[str, Any] = {
        "connection_string": job.driver_url("psycopg2"),
        "async_connection_string": job.driver_url("asyncpg"),
    }
    store = PostgresKVStore(table_name="docstore", **urls)
    return IngestionPipeline(
        transformations=[
            Paragraphs(include_prev_next_rel=False),
            embedding(job),
        ],
        docstore=PostgresDocumentStore(store, batch_size=500),
        vector_store=PGVectorStore.from_params(
            **urls, table_name="passage", embed_dim=DIMENSION, use_jsonb=True
        ),
        docstore_strategy=DocstoreStrategy.UPSERTS_AND_DELETE,
        # its key is a hash over all nodes of the run: one change misses it for all
        disable_cache=True,
    )


def prepare(job: Job) -> None:
    pipeline(job).run(documents=[])


def update(job: Job) -> None:
    loaded = [
        Document(
            text="\n\n".join(paragraphs),
            id_=name,
            metadata={"modified": modified},
            # the vector is that of the text alone, as everywhere
            excluded_embed_metadata_keys=["modified"],
        )
        for name, paragraphs, modified in documents(job.folder)
    ]
    pipeline(job).run(documents=loaded)


if __name__ == "__main__":
    sys.setrecursionlimit(10_000)
    contender(prepare, update, load)
