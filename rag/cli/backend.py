"""The servers a command works with: those the settings name, or the embedded ones.

Everything heavy (the settings' own library, the driver, the servers) is imported when asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Unpack

if TYPE_CHECKING:
    from rag.model import SourceOptions
    from rag.ports import Embedder, Source
    from rag.settings import Settings
    from rag.stack.endpoints import Endpoints
    from rag.store.database import Connection


@dataclass(frozen=True, slots=True)
class Backend:
    """The settings in force, where the servers are, and an open connection to the store."""

    settings: Settings
    endpoints: Endpoints
    conn: Connection = field(repr=False)

    def open_source(self, uri: str, **options: Unpack[SourceOptions]) -> Source:
        """The source behind an address, on the object store in force."""
        from rag.sources.open import open_source

        return open_source(uri, with_object_store(self.settings, self.endpoints), **options)


@contextmanager
def open_backend() -> Iterator[Backend]:
    """The servers in force for the time of the block; `served` adds the object store.

    The embedded database is brought to this code's schema when need be; one that was configured
    is only ever migrated by `rag migrate`."""
    from rag.settings import load_settings
    from rag.stack.supervisor import connect_or_start
    from rag.store.database import connect

    settings = load_settings()
    with connect_or_start(settings) as endpoints:
        if settings.uses_embedded_database:
            _bring_up_to_schema(endpoints.database_url)
        with connect(endpoints.database_url) as conn:
            yield Backend(settings, endpoints, conn)


@contextmanager
def served(backend: Backend, uris: Iterable[str]) -> Iterator[Backend]:
    """The backend with the object store these sources need: the running stack's or the configured
    one, else the embedded one for the time of the block."""
    settings, endpoints = backend.settings, backend.endpoints
    is_needed = any(uri.startswith("s3://") for uri in uris)
    if not is_needed or endpoints.s3 is not None or not settings.uses_embedded_s3:
        yield backend
        return
    from rag.stack.object_store import embedded_object_store

    with embedded_object_store(settings.home) as s3:
        yield replace(backend, endpoints=replace(endpoints, s3=s3))


def with_object_store(settings: Settings, endpoints: Endpoints) -> Settings:
    """Settings that lead to the object store in force, whose credentials enter our environment."""
    import os

    if endpoints.s3 is None:
        return settings
    os.environ.update(endpoints.s3.environment())
    return settings.model_copy(update={"s3_endpoint_url": endpoints.s3.endpoint_url})


def load_embedder(settings: Settings) -> Embedder:
    """The embedding engine that the settings name."""
    from rag.embed.engine import open_embedder

    return open_embedder(
        settings.embedding_model, settings.embedding_precision, cache=settings.home / "models"
    )


def _bring_up_to_schema(url: str) -> None:
    from rag.store.database import connect
    from rag.store.migration import head_revision, migrate
    from rag.store.server import revision

    with connect(url) as conn:
        is_behind = revision(conn) != head_revision()
    if is_behind:
        migrate(url)
