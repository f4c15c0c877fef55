"""Namespaces, collections, their sources, and the fingerprints of configurations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Unpack

from psycopg.types.json import Jsonb

from rag.errors import ConfigurationError, ConflictError, NotFoundError
from rag.fingerprint import fingerprint
from rag.model import CollectionName, Shard, SourceOptions
from rag.store.database import Connection, Row
from rag.store.queries import statements


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection as the store knows it."""

    id: int
    namespace_id: int
    name: CollectionName
    shards: int
    language: str
    live_generation_id: int | None

    def shard_list(self) -> tuple[Shard, ...]:
        """Its partitions."""
        return tuple(Shard(self.name, index, self.shards) for index in range(self.shards))


def create_collection(
    conn: Connection, name: CollectionName, *, shards: int = 1, language: str = "english"
) -> Collection:
    """A new, empty collection. Raises ConflictError (`collection_exists`)."""
    with conn.transaction():
        namespace_id = _id(conn, "ensure_namespace", {"namespace": name.namespace})
        row = conn.execute(
            statements("collections")["create_collection"],
            {
                "namespace_id": namespace_id,
                "collection": name.collection,
                "shards": shards,
                "language": language,
            },
        ).fetchone()
    if row is None:
        raise ConflictError(f"The collection {name} exists already.", code="collection_exists")
    return find_collection(conn, name)


def find_collection(conn: Connection, name: CollectionName) -> Collection:
    """The collection of that name. Raises NotFoundError (`collection_not_found`)."""
    row = conn.execute(
        statements("collections")["find_collection"],
        {"namespace": name.namespace, "collection": name.collection},
    ).fetchone()
    if row is None:
        raise NotFoundError(
            f"There is no collection {name}: `rag collection list` shows those there are, "
            f"`rag collection create {name} --source s3://bucket/prefix/` makes it.",
            code="collection_not_found",
        )
    return Collection(
        id=row["id"],
        namespace_id=row["namespace_id"],
        name=name,
        shards=row["shards"],
        language=row["language"],
        live_generation_id=row["live_generation_id"],
    )


def list_collections(conn: Connection) -> list[Row]:
    """All collections with sources and counts."""
    return conn.execute(statements("collections")["list_collections"]).fetchall()


def add_source(
    conn: Connection, collection: Collection, uri: str, **options: Unpack[SourceOptions]
) -> None:
    """Bind `uri`, as `normalise_uri` gives it, to the collection, and say which of its objects are
    taken (rag.sources.selection); a repeat that says so replaces what was said before.

    Raises ConfigurationError (`overlapping_source`) when one source of the collection contains the
    other: each object must have one owner."""
    for row in list_sources(conn, collection):
        known = row["uri"]
        if known != uri and (covers(known, uri) or covers(uri, known)):
            raise ConfigurationError(
                f"{uri} overlaps the source {known} of {collection.name}: an object may belong to "
                "one source only.",
                code="overlapping_source",
            )
    chosen = Jsonb({name: value for name, value in options.items() if value})
    conn.execute(
        statements("collections")["add_source"],
        {"collection_id": collection.id, "uri": uri, "options": chosen},
    )


def move_bounds_back(
    conn: Connection, collection: Collection, since: str, uri: str | None = None
) -> set[str]:
    """Let the collection's bounded sources, or the one at `uri`, reach back to the day `since`; a
    bound never moves forward. Returns the addresses of those whose bound moved."""
    parameters = {"collection_id": collection.id, "since": since, "uri": uri}
    rows = conn.execute(statements("collections")["move_bounds_back"], parameters).fetchall()
    return {row["uri"] for row in rows}


def covers(source_uri: str, uri: str) -> bool:
    """Whether what is at `uri` is the source itself or below it; `s3://b/a.pdf2` is not below
    `s3://b/a.pdf`."""
    rest = uri.removeprefix(source_uri)
    if rest == uri:
        return False
    return not rest or source_uri.endswith("/") or rest[0] in "/#"


def list_sources(conn: Connection, collection: Collection) -> list[Row]:
    """The collection's sources; `options` are the keywords of `open_source`."""
    parameters = {"collection_id": collection.id}
    return conn.execute(statements("collections")["list_sources"], parameters).fetchall()


def all_sources(conn: Connection) -> list[Row]:
    """Every source of every collection."""
    return conn.execute(statements("collections")["all_sources"]).fetchall()


def ensure_fingerprint(conn: Connection, kind: str, config: Mapping[str, object]) -> int:
    """The id of the configuration's fingerprint, registered on first sight."""
    name = fingerprint(kind, config)
    # every stage asks, and nearly always it is there: a look costs no commit
    row = conn.execute(statements("collections")["find_fingerprint"], {"name": name}).fetchone()
    if row is not None:
        return int(row["id"])
    parameters = {"name": name, "kind": kind, "config": Jsonb(dict(config))}
    return _id(conn, "ensure_fingerprint", parameters)


def _id(conn: Connection, statement: str, parameters: Mapping[str, object]) -> int:
    row = conn.execute(statements("collections")[statement], parameters).fetchone()
    assert row is not None
    return int(row["id"])
