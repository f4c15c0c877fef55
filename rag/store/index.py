"""Generations and the search index: whole-document publishing, the live pointer, search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from rag.model import CollectionName
from rag.store.content import Build
from rag.store.database import Connection, Row
from rag.store.manifest import lock_shard
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
) -> list[Row]:
    """Replace the rows of these documents, each whole, in one transaction.

    A document that is not whole, or older than what is served, is left as it is. Returns
    (document_id, chunk_count) of those published."""
    sql = statements("index")
    parameters = {
        **asdict(build),
        "generation_id": generation.id,
        "ids": list(ids),
        "language": language,
        "run_id": run_id,
    }
    with conn.transaction():
        # writers of a shard take turns: no registration or deletion comes between, no deadlock
        lock_shard(conn, build.collection_id, build.shard)
        for step in ("lock_documents", "ready", "unpublish", "publish_rows"):
            conn.execute(sql[step], parameters)
        return conn.execute(sql["publish_documents"], parameters).fetchall()


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


@dataclass(frozen=True, slots=True)
class Filters:
    """Which documents a search may find; None is no restriction. `filenames` are the last parts of
    their addresses, the times those of the served version."""

    filenames: tuple[str, ...] | None = None
    media_types: tuple[str, ...] | None = None
    modified_from: datetime | None = None
    modified_to: datetime | None = None

    def parameters(self) -> dict[str, object]:
        """What the statement `search` asks for."""
        found: dict[str, object] = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }
        return {**found, "is_filtered": any(value is not None for value in found.values())}


NO_FILTERS = Filters()


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """What one search asks the index; `depth` is how far each list goes before fusion."""

    name: CollectionName
    query: str
    vector: NDArray[np.float32] | None
    limit: int
    depth: int
    use_lexical: bool = True
    filters: Filters = NO_FILTERS
    min_score: float | None = None


def search(conn: Connection, request: SearchRequest) -> list[Row]:
    """Fused rows of the live generation, best first, in one round trip.

    A collection without a hit gives one row whose document_id is None (it carries the generation);
    an unknown collection gives none."""
    vector = request.vector
    return conn.execute(
        statements("index")["search"],
        {
            "namespace": request.name.namespace,
            "collection": request.name.collection,
            "query": request.query,
            "vector": None if vector is None else "[" + ",".join(map(str, vector.tolist())) + "]",
            "use_dense": vector is not None,
            "use_lexical": request.use_lexical,
            "limit": request.limit,
            "depth": request.depth,
            "min_score": request.min_score,
            **request.filters.parameters(),
        },
    ).fetchall()
