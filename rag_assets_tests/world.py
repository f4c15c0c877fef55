"""The one place that says what must hold at any time (docs/guarantees.md, G1 to G4, G12)."""

from __future__ import annotations

from pathlib import Path

from rag.ingest.spool import Spool
from rag.store.database import Connection

# each statement finds violations; none may ever return a row
VIOLATIONS = {
    "a publication has exactly its version's chunks, numbered without gaps": """
        select publication.document_id from publication
        left join search_row using (generation_id, document_id)
        group by publication.generation_id, publication.document_id, publication.chunk_count,
            publication.chunk_set_id
        having count(search_row.ordinal) <> publication.chunk_count
            or (publication.chunk_count > 0 and (
                min(search_row.ordinal) <> 0
                or max(search_row.ordinal) <> publication.chunk_count - 1
                or bool_or(search_row.chunk_set_id <> publication.chunk_set_id)))""",
    "no search row without a publication": """
        select search_row.document_id from search_row
        left join publication using (generation_id, document_id)
        where publication.document_id is null""",
    "what is published is a version of its document, with text of that content": """
        select publication.document_id from publication
        join document_version on document_version.id = publication.version_id
        join chunk_set on chunk_set.id = publication.chunk_set_id
        join parsed on parsed.id = chunk_set.parsed_id
        where document_version.document_id <> publication.document_id
            or parsed.content_hash <> document_version.content_hash""",
    "no deleted document is searchable": """
        select publication.document_id from publication
        join document on document.id = publication.document_id
        where document.deleted_at is not null""",
    "no attachment outlives its mail or bears another name": """
        select document.id from document
        join document as mail on mail.id = document.parent_id
        where document.deleted_at is null and (mail.deleted_at is not null
            or not starts_with(document.uri, mail.uri || '#attachment='))""",
    "no served version is newer than the newest": """
        select publication.document_id from publication
        join document on document.id = publication.document_id
        where publication.version_id > document.version_id""",
    "every served vector is the vector of the served text under the generation's model": """
        select search_row.document_id from search_row
        join generation on generation.id = search_row.generation_id
        join collection on collection.id = generation.collection_id
        join chunk on chunk.chunk_set_id = search_row.chunk_set_id
            and chunk.ordinal = search_row.ordinal
        left join embedding on embedding.namespace_id = collection.namespace_id
            and embedding.model_id = generation.model_id
            and embedding.embedded_hash = chunk.embedded_hash
        where embedding.vector is null
            or (embedding.vector <-> search_row.vector) > 1e-6""",
    "served text was parsed and cut in its own namespace": """
        select publication.document_id from publication
        join generation on generation.id = publication.generation_id
        join collection on collection.id = generation.collection_id
        join chunk_set on chunk_set.id = publication.chunk_set_id
        join parsed on parsed.id = chunk_set.parsed_id
        where parsed.namespace_id <> collection.namespace_id
            or parsed.parser_id <> generation.parser_id
            or chunk_set.chunker_id <> generation.chunker_id""",
    "chunks come and go with their set, all of them": """
        select chunk_set_id from chunk_set
        full join (select chunk_set_id, count(*) as chunks from chunk group by chunk_set_id) as held
            on held.chunk_set_id = chunk_set.id
        where chunk_set.id is null or coalesce(held.chunks, 0) <> chunk_set.chunk_count""",
    "a collection's live pointer names its one live generation": """
        select collection.id from collection
        join generation on generation.id = collection.live_generation_id
        where generation.state <> 'live'""",
}


def violations(conn: Connection) -> dict[str, int]:
    """How often each rule is broken, broken rules only."""
    found = {rule: len(conn.execute(sql.encode()).fetchall()) for rule, sql in VIOLATIONS.items()}
    return {rule: count for rule, count in found.items() if count}


def assert_world_is_sound(conn: Connection) -> None:
    """No rule is broken."""
    found = violations(conn)
    assert found == {}, found


def served(conn: Connection, collection: str) -> dict[str, str]:
    """What search can return now: the whole text of each served document, by uri."""
    rows = conn.execute(
        """
        select document.uri, parsed.text
        from publication
        join generation on generation.id = publication.generation_id and generation.state = 'live'
        join collection on collection.id = generation.collection_id
        join namespace on namespace.id = collection.namespace_id
        join document on document.id = publication.document_id
        join chunk_set on chunk_set.id = publication.chunk_set_id
        join parsed on parsed.id = chunk_set.parsed_id
        where namespace.name || '/' || collection.name = %s
        """,
        [collection],
    )
    return {row["uri"]: row["text"] for row in rows}


def spooled(folder: Path) -> list[Path]:
    """Files that the spool of this folder holds, in memory and on disk."""
    shelves = Spool(folder)._shelves
    return [path for shelf in shelves for path in shelf.folder.glob(f"{shelf.prefix}*")]


def held_for(conn: Connection, time: str) -> None:
    """What the breaker holds back is so much older now."""
    parameters = {"time": time}
    conn.execute(
        "update document set missing_since = missing_since - %(time)s::interval", parameters
    )
    conn.execute("update source set breaker_since = breaker_since - %(time)s::interval", parameters)
