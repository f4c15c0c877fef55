"""Content-addressed results: parsed text, chunks and vectors, each kept once per namespace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from psycopg.types.json import Jsonb

from rag.model import Block, BlockKind, Chunk, ParsedDocument
from rag.store.database import Connection, Row
from rag.store.queries import statements

_CHUNK_TYPES = [
    "int8", "int4", "int4", "int4", "text", "int4", "text[]", "int4", "int4", "text", "bytea",
]  # fmt: skip
_KINDS = {kind.value: kind for kind in BlockKind}


@dataclass(frozen=True, slots=True)
class Build:
    """One shard under one configuration: every statement of this module is scoped by it."""

    collection_id: int
    namespace_id: int
    shard: int
    parser_id: int
    chunker_id: int
    model_id: int


@dataclass(frozen=True, slots=True)
class ParsedContent:
    """A parsed document, the content it came from, and the seconds it took."""

    content_hash: bytes
    document: ParsedDocument
    seconds: float


@dataclass(frozen=True, slots=True)
class CutText:
    """A parsed text cut into chunks, ready to be kept."""

    parsed_id: int
    chunks: tuple[Chunk, ...]
    contexts: tuple[str, ...]
    embedded_hashes: tuple[bytes, ...]


def select(conn: Connection, name: str, build: Build, **more: object) -> list[Row]:
    """Rows of one of this group's read statements, for one build."""
    return conn.execute(statements("content")[name], {**asdict(build), **more}).fetchall()


def select_one(conn: Connection, name: str, build: Build, **more: object) -> Row:
    """The single row of one of this group's counting statements."""
    (row,) = select(conn, name, build, **more)
    return row


def insert_parsed(
    conn: Connection, build: Build, documents: Sequence[ParsedContent], run_id: str
) -> None:
    """Keep parsed documents by their content; a repeat changes nothing, and what no document has
    any more (it was erased meanwhile) is not kept."""
    if not documents:
        return
    shared = {"namespace_id": build.namespace_id, "parser_id": build.parser_id, "run_id": run_id}
    rows = [_parsed_columns(parsed) for parsed in documents]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    with conn.transaction():
        conn.execute(statements("content")["lock_namespace"], shared)
        conn.execute(statements("content")["insert_parsed"], {**shared, **columns})


def parsed_contents(
    conn: Connection, collection_id: int, parser: str, hashes: Sequence[bytes]
) -> set[bytes]:
    """Those of these contents whose bytes no document of the collection's namespace waits for:
    read by the parser of that fingerprint, and unpacked where they are mails."""
    parameters = {"collection_id": collection_id, "parser": parser, "hashes": list(hashes)}
    rows = conn.execute(statements("content")["parsed_contents"], parameters)
    return {bytes(row["content_hash"]) for row in rows}


def _parsed_columns(parsed: ParsedContent) -> dict[str, object]:
    document = parsed.document
    return {
        "content_hash": parsed.content_hash,
        "text": document.text,
        "blocks": Jsonb(document.blocks),
        "media_type": document.media_type,
        "page_count": document.page_count,
        "title": document.title,
        "author": document.author,
        "language": document.language,
        "source_created_at": document.created_at,
        "is_partial": document.is_partial,
        "warnings": Jsonb(list(document.warnings)),
        "suspicion": document.suspicion,
        "parser": document.parser,
        "metadata": Jsonb(dict(document.metadata)),
        "word_count": document.word_count,
        "seconds": parsed.seconds,
    }


def resolve(conn: Connection, name: str, build: Build) -> None:
    """Close the letters of documents that are past a stage by now; `name` is its statement."""
    conn.execute(statements("content")[name], asdict(build))


def document_from_row(row: Row) -> ParsedDocument:
    """The parsed document of an `uncut` row (what chunking needs of it)."""
    return ParsedDocument(
        text=row["text"],
        blocks=tuple(Block(_KINDS[kind], *rest) for kind, *rest in row["blocks"]),
        media_type=row["media_type"],
        page_count=row["page_count"],
        title=row["title"],
    )


def insert_chunks(conn: Connection, build: Build, texts: Sequence[CutText], run_id: str) -> int:
    """Keep the chunks of parsed texts, all or none; returns how many chunks were new."""
    by_parsed = {cut.parsed_id: cut for cut in texts}
    with conn.transaction():
        rows = conn.execute(
            statements("content")["insert_chunk_sets"],
            {
                "chunker_id": build.chunker_id,
                "run_id": run_id,
                "parsed_ids": list(by_parsed),
                "chunk_counts": [len(cut.chunks) for cut in texts],
                "token_counts": [sum(chunk.tokens for chunk in cut.chunks) for cut in texts],
            },
        )
        kept = [(int(row["id"]), by_parsed[row["parsed_id"]]) for row in rows]
        _copy_chunks(conn, kept)
    return sum(len(cut.chunks) for _, cut in kept)


def _copy_chunks(conn: Connection, texts: Sequence[tuple[int, CutText]]) -> None:
    with conn.cursor().copy(statements("content")["copy_chunks"]) as copy:
        copy.set_types(_CHUNK_TYPES)
        for set_id, cut in texts:
            for chunk, context, hashed in zip(
                cut.chunks, cut.contexts, cut.embedded_hashes, strict=True
            ):
                copy.write_row((
                    set_id, chunk.ordinal, chunk.start, chunk.end, chunk.text, chunk.tokens,
                    list(chunk.headings), chunk.page_first, chunk.page_last, context, hashed,
                ))  # fmt: skip


def mark_embedded(conn: Connection, build: Build, sets: Sequence[int]) -> None:
    """Mark those of these chunk sets that lack no vector: documents made of them are whole.

    Under the namespace's lock, so that no sweep removes a vector between the look and the mark."""
    with conn.transaction():
        conn.execute(statements("content")["lock_namespace"], asdict(build))
        conn.execute(statements("content")["mark_embedded"], {**asdict(build), "sets": list(sets)})


def insert_embeddings(
    conn: Connection, build: Build, sets: Sequence[int], hashes: Sequence[bytes],
    vectors: NDArray[np.float32],
) -> int:  # fmt: skip
    """Keep vectors by the hash of their text, those that a chunk of these sets still lacks; returns
    how many.

    `vectors` has shape (len(hashes), dimension). Writers of a namespace take turns, so COPY never
    meets a row that another put there meanwhile."""
    sql = statements("content")
    scope = {"namespace_id": build.namespace_id, "model_id": build.model_id}
    with conn.transaction():
        conn.execute(sql["lock_namespace"], scope)
        texts = {**scope, "sets": list(sets), "hashes": list(hashes)}
        rows = conn.execute(sql["lacking_embeddings"], texts)
        lacking = {bytes(row["embedded_hash"]) for row in rows}
        fresh = [i for i, hashed in enumerate(hashes) if hashed in lacking]
        if fresh:
            data = halfvec_rows(
                build.namespace_id, build.model_id, [hashes[i] for i in fresh], vectors[fresh]
            )
            with conn.cursor().copy(sql["copy_embeddings"]) as copy:
                copy.write(data)
    return len(fresh)


def halfvec_rows(
    namespace_id: int, model_id: int, hashes: Sequence[bytes], vectors: NDArray[np.float32]
) -> bytes:
    """The rows of `copy_embeddings` as one PostgreSQL binary COPY stream, built by numpy at once.

    Layout: PostgreSQL documentation, COPY, "Binary Format"; halfvec: two int16 (dimension, 0) and
    big-endian IEEE halves (pgvector, halfvec_recv)."""
    rows, dimension = vectors.shape
    record = np.zeros(
        rows,
        dtype=[
            ("fields", ">i2"),
            ("namespace_len", ">i4"), ("namespace", ">i4"),
            ("model_len", ">i4"), ("model", ">i4"),
            ("hash_len", ">i4"), ("hash", "S32"),
            ("vector_len", ">i4"), ("dimension", ">i2"), ("unused", ">i2"),
            ("values", ">f2", (dimension,)),
        ],
    )  # fmt: skip
    record["fields"] = 4
    record["namespace_len"] = record["model_len"] = 4
    record["namespace"], record["model"] = namespace_id, model_id
    record["hash_len"] = 32
    record["hash"] = np.frombuffer(b"".join(hashes), dtype="S32")
    record["vector_len"] = 4 + 2 * dimension
    record["dimension"] = dimension
    record["values"] = vectors
    header = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
    return header + record.tobytes() + b"\xff\xff"
