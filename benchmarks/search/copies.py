"""A collection made larger within the database: copies of its documents, each passage with a vector
near its original's, so that the vectors of a million passages lie in clusters."""

from __future__ import annotations

import time

import numpy as np
from pgvector import HalfVector
from pgvector.psycopg import register_vector

from rag.model import CollectionName
from rag.store import partitions
from rag.store.database import Connection

# how far a copy's vector lies from its original's: their cosine is about 0.94
_SPREAD = 0.36
_BATCH = 20_000

_LIVE = """
select generation.id as generation_id, collection.id as collection_id
from collection join namespace on namespace.id = collection.namespace_id
join generation on generation.id = collection.live_generation_id
where namespace.name = %(namespace)s and collection.name = %(collection)s
"""
_ORIGINALS = """
create temporary table original as
select publication.*, document.uri from publication
join document on document.id = publication.document_id
where publication.generation_id = %(generation_id)s
"""
_COPY = (
    """create temporary table copied as
    select original.document_id as original_id, nextval(pg_get_serial_sequence('document', 'id'))
        as document_id, nextval(pg_get_serial_sequence('document_version', 'id')) as version_id
    from original""",
    """insert into document
        (id, collection_id, source_id, shard, uri, etag, size_bytes, modified_at)
    overriding system value
    select copied.document_id, collection_id, source_id, shard, uri || '~' || %(number)s::int,
        etag, size_bytes, modified_at
    from copied join document on document.id = copied.original_id""",
    """insert into document_version (id, document_id, content_hash, etag, size_bytes, modified_at)
    overriding system value
    select copied.version_id, copied.document_id, content_hash, etag, size_bytes, modified_at
    from copied join original on original.document_id = copied.original_id
    join document_version on document_version.id = original.version_id""",
    """update document set version_id = copied.version_id
    from copied where document.id = copied.document_id""",
    """create temporary table new_segment as
    select id as original_id, nextval(pg_get_serial_sequence('segment', 'id')) as id
    from segment where id in (select segment_id from original)""",
    """insert into segment (id, generation_id, shard, slots, rows, words) overriding system value
    select new_segment.id, generation_id, shard, slots, rows, words
    from new_segment join segment on segment.id = new_segment.original_id""",
    """insert into posting (segment_id, lexeme, entries)
    select new_segment.id, lexeme, entries
    from new_segment join posting on posting.segment_id = new_segment.original_id""",
    """insert into publication (generation_id, document_id, version_id, chunk_set_id, chunk_count,
        segment_id, first_slot, words)
    select generation_id, copied.document_id, copied.version_id, chunk_set_id, chunk_count,
        new_segment.id, first_slot, words
    from copied join original on original.document_id = copied.original_id
    left join new_segment on new_segment.original_id = original.segment_id""",
)
_VECTORS = """
select copied.document_id, ordinal, chunk_set_id, vector
from copied join search_row on search_row.document_id = copied.original_id
    and search_row.generation_id = %(generation_id)s
"""
_ROWS = (
    "copy search_row (home, generation_id, document_id, ordinal, chunk_set_id, vector)"
    " from stdin (format binary)"
)


def multiply(conn: Connection, name: CollectionName, times: int) -> dict[str, float]:
    """Make the collection so many times as large, then index its vectors; seconds of both. Its
    generation may have no vector index yet."""
    live = conn.execute(
        _LIVE, {"namespace": name.namespace, "collection": name.collection}
    ).fetchone()
    assert live is not None
    generation_id = live["generation_id"]
    started = time.perf_counter()
    partitions.give_own_partition(conn, generation_id, 1)
    register_vector(conn)
    conn.execute("set statement_timeout = 0")
    conn.execute(_ORIGINALS, live)
    for number in range(1, times):
        with conn.transaction():
            for statement in _COPY:
                conn.execute(statement, {**live, "number": number} if "%(" in statement else None)
            _copy_rows(conn, generation_id, np.random.default_rng(number))
            conn.execute("drop table copied, new_segment")
    conn.execute("drop table original")
    conn.execute("vacuum analyze")
    copied = time.perf_counter()
    partitions.build_vector_index(conn, generation_id)
    return {"copies": copied - started, "vector index": time.perf_counter() - copied}


def _copy_rows(conn: Connection, generation_id: int, source: np.random.Generator) -> None:
    rows = conn.execute(_VECTORS, {"generation_id": generation_id}, binary=True).fetchall()
    with conn.cursor().copy(_ROWS) as copy:
        copy.set_types(["int8", "int8", "int8", "int4", "int8", "halfvec"])
        for start in range(0, len(rows), _BATCH):
            part = rows[start : start + _BATCH]
            vectors = np.stack([row["vector"].to_numpy() for row in part]).astype(np.float32)
            noise = source.standard_normal(vectors.shape, np.float32)
            vectors += noise * (_SPREAD / np.sqrt(vectors.shape[1]))
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            for row, vector in zip(part, vectors.astype(np.float16), strict=True):
                copy.write_row(
                    (generation_id, generation_id, row["document_id"], row["ordinal"],
                     row["chunk_set_id"], HalfVector(vector))
                )  # fmt: skip
