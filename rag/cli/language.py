"""Text search languages: which the server knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rag.errors import ConfigurationError

if TYPE_CHECKING:
    from rag.store.database import Connection


def check_language(conn: Connection, language: str) -> None:
    """Raises ConfigurationError (`unknown_language`) with the names the server knows."""
    from rag.store.server import languages

    known = languages(conn)
    if language not in known:
        raise ConfigurationError(
            f"'{language}' is no text search language of this server: choose one of "
            f"{', '.join(known)}.",
            code="unknown_language",
        )
