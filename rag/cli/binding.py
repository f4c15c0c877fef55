"""Binding a source to a collection on first use, after a look whether it can be read at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rag.cli.terminal import escape, note
from rag.errors import ConfigurationError, NotFoundError

if TYPE_CHECKING:
    from rag.cli.backend import Backend
    from rag.model import CollectionName
    from rag.store.collections import Collection


def sources_in_question(backend: Backend, name: CollectionName, source: str | None) -> list[str]:
    """The address a person gave, if any, and those the collection has. Nothing is made yet.

    Raises NotFoundError (`collection_not_found`) or ConfigurationError (`no_source`) when there is
    nothing to ingest."""
    from rag.sources.open import normalise_uri
    from rag.store import collections

    given = [] if source is None else [normalise_uri(source)]
    try:
        found = collections.find_collection(backend.conn, name)
    except NotFoundError:
        if not given:
            raise
        return given
    uris = given + [row["uri"] for row in collections.list_sources(backend.conn, found)]
    if not uris:
        raise ConfigurationError(
            f"{name} has no source: `rag ingest URI --collection {name}` binds one.",
            code="no_source",
        )
    return uris


def bind(backend: Backend, name: CollectionName, uris: list[str]) -> Collection:
    """The collection, made when absent, with all `uris` bound to it; each of them can be read.

    Raises what the sources raise when they can not be read; then nothing was made."""
    from rag.store import collections

    for uri in uris:
        check_readable(backend, uri)
    found = find_or_create(backend, name)
    known = [row["uri"] for row in collections.list_sources(backend.conn, found)]
    for uri in uris:
        # what lies within a source is looked at with it
        if not any(collections.covers(each, uri) for each in known):
            collections.add_source(backend.conn, found, uri)
            note(f"Bound {escape(uri)} to {name}.")
    return found


def check_readable(backend: Backend, uri: str) -> None:
    """Look at the source's first object. Raises what a listing raises: nothing there, no answer,
    wrong credentials."""
    if uri.startswith("s3://"):
        from rag.cli.object_store import client
        from rag.sources.s3 import S3Source

        S3Source(uri, client(backend), max_objects=1).list()
        return
    if uri.startswith("csv+file:"):
        backend.open_source(uri).list()  # it has a header, and can be read
        return
    if not uri.startswith("file://"):
        backend.open_source(uri)  # the address is right; the run's own listing says the rest
        return
    from rag.sources.folder import path_of

    if not path_of(uri).exists():
        raise NotFoundError(
            f"There is no file or folder {path_of(uri)}: correct the path.",
            code="folder_not_found",
        )


def find_or_create(backend: Backend, name: CollectionName) -> Collection:
    """The collection of that name, made when absent."""
    from rag.store import collections

    try:
        return collections.find_collection(backend.conn, name)
    except NotFoundError:
        note(f"Created the collection {name}.")
        return collections.create_collection(backend.conn, name)
