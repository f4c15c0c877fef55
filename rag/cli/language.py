"""Text search languages: which the server knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rag.errors import ConfigurationError

if TYPE_CHECKING:
    from rag.store.database import Connection


def check_language(conn: Connection, language: str) -> None:
    """Raises ConfigurationError (`unknown_language`) with the names the server knows."""
    rows = conn.execute("select cfgname from pg_ts_config order by 1").fetchall()
    known = [row["cfgname"] for row in rows]
    if language not in known:
        raise ConfigurationError(
            f"'{language}' is no text search language of this server: choose one of "
            f"{', '.join(known)}.",
            code="unknown_language",
        )
