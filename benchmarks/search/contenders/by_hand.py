"""sentence-transformers, psycopg and pgvector as a careful engineer would write it in an afternoon:
half-precision vectors under HNSW, a tsvector under GIN, and reciprocal rank fusion in one
statement, as pgvector's own example has it. All words of a question must be there; in the variant
`any`, one of them."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
from pgvector import HalfVector
from pgvector.psycopg import register_vector

from benchmarks.search.asking import DIMENSION, HITS, Task, contender

SCHEMA = f"""
create extension if not exists vector;
create table passage (
    id bigint primary key, document text not null, text text not null,
    embedding halfvec({DIMENSION}) not null,
    words tsvector not null generated always as (to_tsvector('english', text)) stored
);
"""
INDEXES = """
create index on passage using hnsw (embedding halfvec_cosine_ops);
create index on passage using gin (words);
"""
ALL_WORDS = "plainto_tsquery('english', %(question)s)"
ANY_WORD = f"cast(replace({ALL_WORDS}::text, '&', '|') as tsquery)"
# a list of 50 needs as many in the index's view; 100 is what pgvector's README tries
IN_VIEW = "set hnsw.ef_search = 100"
NEAREST = f"select id from passage order by embedding <=> %(vector)s limit {HITS}"


def hybrid_statement(query: str) -> bytes:
    """Both lists of 50, fused."""
    return f"""
    with near as (
        select id, row_number() over () as rank
        from (select id from passage order by embedding <=> %(vector)s limit 50) as nearest
    ), worded as (
        select id, row_number() over () as rank
        from (
            select id from passage, {query} as query where words @@ query
            order by ts_rank_cd(words, query) desc limit 50
        ) as best
    ), fused as (
        select id, sum(1.0 / (60 + rank)) as score
        from (select * from near union all select * from worded) as lists
        group by id order by score desc limit {HITS}
    )
    select passage.id, document, text, score from fused join passage using (id)
    order by score desc
    """.encode()


def load(task: Task) -> None:
    with psycopg.connect(task.url, autocommit=True) as conn:
        conn.execute(SCHEMA.encode())
        register_vector(conn)
        statement = "copy passage (id, document, text, embedding) from stdin (format binary)"
        with conn.cursor().copy(statement) as copy:
            copy.set_types(["int8", "text", "text", "halfvec"])
            for passages, vectors in task.batches():
                for passage, vector in zip(passages, vectors, strict=True):
                    copy.write_row((*passage, HalfVector(vector)))
        conn.execute(INDEXES.encode())


class Searching:
    """A model for all callers, a connection for each."""

    def __init__(self, task: Task) -> None:
        from sentence_transformers import SentenceTransformer

        self._url = task.url
        self._model = SentenceTransformer(task.model, device="cpu")
        self._statement = hybrid_statement(ANY_WORD if task.variant == "any" else ALL_WORDS)
        self._own = threading.local()

    def hybrid(self, question: str) -> list[tuple[Any, ...]]:
        vector = HalfVector(self._model.encode(question))
        given = {"vector": vector, "question": question}
        return self._conn().execute(self._statement, given, binary=True).fetchall()

    def nearest(self, vector: list[float]) -> list[int]:
        rows = self._conn().execute(NEAREST.encode(), {"vector": HalfVector(vector)})
        return [row[0] for row in rows]

    def _conn(self) -> psycopg.Connection:
        if not hasattr(self._own, "conn"):
            conn: psycopg.Connection = psycopg.connect(self._url, autocommit=True)
            register_vector(conn)
            conn.execute(IN_VIEW)
            self._own.conn = conn
        found: psycopg.Connection = self._own.conn
        return found


if __name__ == "__main__":
    contender(load, Searching)
