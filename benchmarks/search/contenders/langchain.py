"""LangChain: PGVectorStore (v2) with hybrid search, reciprocal rank fusion and an HNSW index."""

from __future__ import annotations

import uuid

import psycopg
from langchain_core.documents import Document
from langchain_huggingface import HuggingFaceEmbeddings
from langchain_postgres import PGEngine, PGVectorStore
from langchain_postgres.v2.hybrid_search_config import (
    HybridSearchConfig,
    reciprocal_rank_fusion,
)
from langchain_postgres.v2.indexes import HNSWIndex
from pgvector.psycopg import register_vector
from psycopg.types.json import Json

from benchmarks.search.asking import DIMENSION, HITS, Task, contender

TABLE = "passage"
WORDS = "content_tsv"
# the store's own insert is a statement and a commit for each row: its columns, filled at once
STAGED = """
create temporary table staged
    (langchain_id uuid, content text, embedding vector, langchain_metadata json)
"""
COPY = "copy staged from stdin (format binary)"
MOVE = f"""
insert into {TABLE} (langchain_id, content, embedding, langchain_metadata, {WORDS})
select staged.*, to_tsvector('pg_catalog.english', content) from staged
"""


def words() -> HybridSearchConfig:
    """A new one for each question: a search writes its question into the one it is given, and
    later searches keep it (langchain-postgres issue 337). Lists of ten are the shortest that give
    ten; the default of four gives eight at most."""
    return HybridSearchConfig(
        tsv_column=WORDS,
        fusion_function=reciprocal_rank_fusion,
        primary_top_k=HITS,
        secondary_top_k=HITS,
    )


def store(task: Task) -> PGVectorStore:
    return PGVectorStore.create_sync(
        PGEngine.from_connection_string(task.driver_url("psycopg")),
        HuggingFaceEmbeddings(model_name=task.model, model_kwargs={"device": "cpu"}),
        TABLE,
        hybrid_search_config=words(),
    )


def load(task: Task) -> None:
    engine = PGEngine.from_connection_string(task.driver_url("psycopg"))
    engine.init_vectorstore_table(TABLE, DIMENSION, hybrid_search_config=words())
    with psycopg.connect(task.url) as conn:
        register_vector(conn)
        conn.execute(STAGED)
        with conn.cursor().copy(COPY) as copy:
            copy.set_types(["uuid", "text", "vector", "json"])
            for passages, vectors in task.batches():
                for passage, vector in zip(passages, vectors, strict=True):
                    metadata = Json({"source": passage.document})
                    copy.write_row((uuid.UUID(int=passage.number), passage.text, vector, metadata))
        conn.execute(MOVE)
    made = store(task)
    made.apply_vector_index(HNSWIndex())
    made.apply_hybrid_search_index()


class Searching:
    """The store, asked as its users do."""

    def __init__(self, task: Task) -> None:
        self._store = store(task)

    def hybrid(self, question: str) -> list[Document]:
        return self._store.similarity_search(question, k=HITS, hybrid_search_config=words())

    def nearest(self, vector: list[float]) -> list[int]:
        found = self._store.similarity_search_by_vector(vector, k=HITS, hybrid_search_config=None)
        return [uuid.UUID(str(one.id)).int for one in found]


if __name__ == "__main__":
    contender(load, Searching)
