"""Generations and the search index: whole-document publishing and the live pointer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rag.store import partitions, postings
from rag.store.content import Build
from rag.store.database import Connection, Row
from rag.store.manifest import lock_shard
from rag.store.postings import Worded
from rag.store.queries import statements


@dataclass(frozen=True, slots=True)
class Generation:
    """One searchable build of a collection; `is_live` says that searches read it."""

    id: int
    is_live: bool


def ensure_generation(conn: Connection, build: Build, run_id: str) -> Generation:
    """The generation of this build's configuration, made when there is none in use."""
    sql = statements("index")
    parameters = {**asdict(build), "run_id": run_id}
    with conn.transaction():
        conn.execute(sql["lock_collection"], parameters)
        row = conn.execute(sql["find_generation"], parameters).fetchone()
        if row is None:
            row = conn.execute(sql["create_generation"], parameters).fetchone()
            assert row is not None
            if row["state"] == "live":
                conn.execute(sql["point_to"], {**parameters, "generation_id": row["id"]})
    return Generation(row["id"], row["state"] == "live")


def to_publish(conn: Connection, build: Build, generation: Generation) -> list[int]:
    """Documents whose newest version the generation does not serve yet."""
    parameters = {**asdict(build), "generation_id": generation.id}
    rows = conn.execute(statements("index")["to_publish"], parameters)
    return [row["document_id"] for row in rows]


def publish(
    conn: Connection,
    build: Build,
    generation: Generation,
    ids: Sequence[int],
    language: str,
    run_id: str,
    expected: Worded,
) -> list[Row]:
    """Replace the rows of these documents, each whole, in one transaction. `expected` are the words
    of what they are likely to be by then.

    A document that is not whole, or older than what is served, is left as it is. Returns
    (document_id, chunk_count) of those published."""
    sql = statements("index")
    parameters: dict[str, object] = {
        **asdict(build),
        "generation_id": generation.id,
        "ids": list(ids),
        "run_id": run_id,
    }
    with conn.transaction():
        # writers of a shard take turns: no registration or deletion comes between, no deadlock
        lock_shard(conn, build.collection_id, build.shard)
        parameters["home"] = partitions.home_of(conn, generation.id)
        for step in ("lock_documents", "ready", "unpublish", "publish_rows"):
            conn.execute(sql[step], parameters)
        postings.publish_ready(conn, generation.id, build.shard, language, expected)
        published = conn.execute(sql["publish_documents"], parameters).fetchall()
        postings.merge_crowded(conn, generation.id, build.shard)
        return published


def documents_behind(conn: Connection, build: Build, generation: Generation) -> int:
    """Documents of the whole collection that the generation should serve and does not yet."""
    parameters = {"collection_id": build.collection_id, "generation_id": generation.id}
    row = conn.execute(statements("index")["documents_behind"], parameters).fetchone()
    assert row is not None
    return int(row["documents"])


def pending_shards(conn: Connection, lease_s: float) -> list[Row]:
    """Shards of all collections with work that no listing shows: documents registered and not yet
    served, and retries that are due; not what a worker alive within `lease_s` holds."""
    return conn.execute(statements("index")["pending_shards"], {"lease_s": lease_s}).fetchall()


def promote(conn: Connection, collection_id: int, generation: Generation) -> None:
    """Move the live pointer to the generation, in one transaction."""
    sql = statements("index")
    parameters = {"collection_id": collection_id, "generation_id": generation.id}
    with conn.transaction():
        for step in ("lock_collection", "retire_live", "make_live", "point_to"):
            conn.execute(sql[step], parameters)


def parity(conn: Connection, generation: Generation) -> Row:
    """Counts that show whether the generation serves whole documents only."""
    parameters = {"generation_id": generation.id}
    row = conn.execute(statements("index")["parity"], parameters).fetchone()
    assert row is not None
    return row
