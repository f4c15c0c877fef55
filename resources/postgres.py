"""Where the platform's state lives: one PostgreSQL with pgvector."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

if TYPE_CHECKING:
    from rag.store.database import Connection


class DatabaseResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Connections to the store: manifest, parsed text, chunks, vectors and the search index."""

    url: str | None = Field(
        default=None,
        description="postgresql:// address. Unset: the setting `database_url` (RAG_DATABASE_URL); "
        "that unset, too: the embedded server.",
    )

    def address(self) -> str:
        """The address in force; the embedded server is started when no other is configured."""
        from rag.settings import load_settings

        settings = load_settings()
        if self.url:
            return self.url
        if settings.database_url is not None:
            return settings.database_url.get_secret_value()
        from rag.stack.postgres import ensure_postgres

        return ensure_postgres(settings.home)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """An autocommit connection, closed at the end of the block."""
        from rag.store.database import connect

        with connect(self.address()) as conn:
            yield conn
