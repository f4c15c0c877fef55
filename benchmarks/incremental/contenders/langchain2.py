"""LangChain's indexing API with PGVectorStore (v2, one statement and commit per chunk)."""

from __future__ import annotations

import warnings

from langchain_postgres import Column, PGEngine, PGVectorStore

from benchmarks.incremental.contenders.langchain import bring_up_to_date, embeddings, records
from benchmarks.incremental.job import Job, contender
from benchmarks.incremental.vectors import DIMENSION


def engine(job: Job) -> PGEngine:
    return PGEngine.from_connection_string(job.driver_url("psycopg"))


def prepare(job: Job) -> None:
    records(job).create_schema()
    engine(job).init_vectorstore_table(
        "passage", DIMENSION, id_column=Column("langchain_id", "text", nullable=False)
    )


def update(job: Job) -> None:
    bring_up_to_date(job, PGVectorStore.create_sync(engine(job), embeddings(job), "passage"))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    contender(prepare, update)
