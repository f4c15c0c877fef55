"""LangChain's indexing API: SQLRecordManager with PGVector (v1, one statement per batch)."""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path

from langchain_classic.indexes import SQLRecordManager
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.indexing import index
from langchain_core.vectorstores import VectorStore
from langchain_postgres import PGVector

from benchmarks.incremental.job import Job, contender, documents, timed_transformer
from benchmarks.incremental.vectors import DIMENSION, Embedder

BATCH = 1000


class FreeEmbeddings(Embeddings):
    """The common embedder."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        found: list[list[float]] = self._embedder.embed(texts).tolist()
        return found

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


@cache
def real_embeddings(model: str) -> Embeddings:
    """LangChain's own embedder, as it comes."""
    from langchain_huggingface import HuggingFaceEmbeddings

    return HuggingFaceEmbeddings(model_name=model, model_kwargs={"device": "cpu"})


def embeddings(job: Job) -> Embeddings:
    if job.is_real:
        return real_embeddings(job.model)
    return FreeEmbeddings(Embedder(job.model, Path(job.counter)))


def load(job: Job) -> None:
    timed_transformer(job)
    real_embeddings(job.model)


def records(job: Job) -> SQLRecordManager:
    return SQLRecordManager("passages", db_url=job.driver_url("psycopg"))


def store(job: Job) -> PGVector:
    return PGVector(
        embeddings=embeddings(job),
        connection=job.driver_url("psycopg"),
        embedding_length=DIMENSION,
        collection_name="passages",
        use_jsonb=True,
    )


def prepare(job: Job) -> None:
    records(job).create_schema()
    store(job)


def update(job: Job) -> None:
    bring_up_to_date(job, store(job))


def bring_up_to_date(job: Job, vector_store: VectorStore) -> None:
    """Both versions of the store are driven alike."""
    loaded = (
        Document(text, metadata={"source": name, "ordinal": ordinal})
        for name, paragraphs, _ in documents(job.folder)
        for ordinal, text in enumerate(paragraphs)
    )
    index(
        loaded,
        records(job),
        vector_store,
        cleanup="full",
        source_id_key="source",
        key_encoder="blake2b",
        batch_size=BATCH,
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    contender(prepare, update, load)
