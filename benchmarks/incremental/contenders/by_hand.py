"""sentence-transformers and psycopg as a careful engineer would write it in an afternoon: a table
of hashes says which files changed, texts are embedded in batches, rows go in by binary COPY, one
transaction per batch of files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from pgvector.psycopg import register_vector

from benchmarks.incremental.job import Job, contender, documents, timed_transformer
from benchmarks.incremental.vectors import DIMENSION, Embedder

BATCH_FILES = 200
SCHEMA = f"""
create extension if not exists vector;
create table file (
    name text primary key, hash bytea not null, model text not null, modified bigint not null
);
create table passage (
    document text not null references file (name) on delete cascade,
    ordinal int not null, text text not null, modified bigint not null,
    embedding vector({DIMENSION}) not null, primary key (document, ordinal)
);
"""
Document = tuple[str, list[str], int]
Embed = Callable[[list[str]], NDArray[np.float32]]


@cache
def transformer(model: str) -> Any:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(model, device="cpu")


def load(job: Job) -> None:
    timed_transformer(job)
    transformer(job.model)


def embedder(job: Job) -> Embed:
    if job.is_real:
        return lambda texts: transformer(job.model).encode(texts, show_progress_bar=False)
    return Embedder(job.model, Path(job.counter)).embed


def prepare(job: Job) -> None:
    with psycopg.connect(job.url) as conn:
        conn.execute(SCHEMA.encode())


def update(job: Job) -> None:
    embed = embedder(job)
    with psycopg.connect(job.url, autocommit=True) as conn:
        register_vector(conn)
        known = {
            row[0]: row[1:] for row in conn.execute("select name, hash, model, modified from file")
        }
        there = documents(job.folder)
        conn.execute(
            "delete from file where name = any(%s)", [list(known.keys() - {d[0] for d in there})]
        )
        changed = [d for d in there if known.get(d[0], ())[:2] != (_hash(d), job.model)]
        names = {d[0] for d in changed}
        touched = [d for d in there if d[0] not in names and known[d[0]][2] != d[2]]
        _touch(conn, touched)
        for batch in _batches(changed):
            _replace(conn, batch, embed, job.model)


def _hash(document: Document) -> bytes:
    return hashlib.sha256("\n\n".join(document[1]).encode()).digest()


def _batches(items: Sequence[Document]) -> Iterator[list[Document]]:
    iterator = iter(items)
    while batch := list(islice(iterator, BATCH_FILES)):
        yield batch


def _touch(conn: psycopg.Connection, touched: list[Document]) -> None:
    for table, key in (("file", "name"), ("passage", "document")):
        conn.execute(
            f"update {table} set modified = new.modified"
            f" from unnest(%s::text[], %s::bigint[]) as new (name, modified)"
            f" where {table}.{key} = new.name".encode(),
            [[d[0] for d in touched], [d[2] for d in touched]],
        )


def _replace(conn: psycopg.Connection, batch: list[Document], embed: Embed, model: str) -> None:
    texts = [text for _, paragraphs, _ in batch for text in paragraphs]
    vectors = iter(embed(texts))
    with conn.transaction(), conn.cursor() as cursor:
        cursor.execute("delete from file where name = any(%s)", [[d[0] for d in batch]])
        with cursor.copy("copy file from stdin with (format binary)") as copy:
            copy.set_types(["text", "bytea", "text", "int8"])
            for document in batch:
                copy.write_row((document[0], _hash(document), model, document[2]))
        with cursor.copy("copy passage from stdin with (format binary)") as copy:
            copy.set_types(["text", "int4", "text", "int8", "vector"])
            for name, paragraphs, modified in batch:
                for ordinal, text in enumerate(paragraphs):
                    copy.write_row((name, ordinal, text, modified, next(vectors)))


if __name__ == "__main__":
    contender(prepare, update, load)
