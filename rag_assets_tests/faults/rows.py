"""Everything derived, compared between a disturbed index and one that was made in peace."""

from __future__ import annotations

from pathlib import Path

from rag.ingest.pipeline import bring_up_to_date
from rag.model import CollectionName, Shard
from rag.store import collections
from rag.store.database import Connection
from rag_assets_tests.faults.worker import NAME, workshop

PEACE = CollectionName("peace", "docs")

_SERVED = """
    select document.uri, search_row.ordinal, chunk.text, search_row.vector::text as vector,
        (select array_agg(posting.lexeme || ' ' || entry.times order by posting.lexeme)
         from posting, publication, generate_series(0, octet_length(posting.entries) / 8 - 1) as at,
            lateral (select
                get_byte(posting.entries, at * 8) + get_byte(posting.entries, at * 8 + 1) * 256
                    + get_byte(posting.entries, at * 8 + 2) * 65536 as slot,
                get_byte(posting.entries, at * 8 + 4) as times) as entry
         where publication.generation_id = search_row.generation_id
            and publication.document_id = search_row.document_id
            and posting.segment_id = publication.segment_id
            and entry.slot = publication.first_slot + search_row.ordinal) as lexemes
    from collection
    join namespace on namespace.id = collection.namespace_id
    join search_row on search_row.generation_id = collection.live_generation_id
    join document on document.id = search_row.document_id
    join chunk on chunk.chunk_set_id = search_row.chunk_set_id
        and chunk.ordinal = search_row.ordinal
    where namespace.name = %s order by 1, 2"""


def served_rows(conn: Connection, name: CollectionName = NAME) -> list[dict[str, object]]:
    """What search reads, ids left out."""
    return conn.execute(_SERVED, [name.namespace]).fetchall()


def rows_made_in_peace(conn: Connection, database_url: str, tmp_path: Path) -> list[object]:
    """The same sources in a namespace of their own, brought in by one run."""
    original = collections.find_collection(conn, NAME)
    copy = collections.create_collection(conn, PEACE)
    for row in collections.list_sources(conn, original):
        collections.add_source(conn, copy, row["uri"])
    bring_up_to_date(workshop(conn, database_url, tmp_path / "peace"), Shard(PEACE))
    return list(served_rows(conn, PEACE))
