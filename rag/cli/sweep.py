"""rag sweep: remove what nothing uses any more."""

from __future__ import annotations

from typing import Annotated

import typer

from rag.cli.terminal import AsJson, plural, say, write_json

_DAY_S = 86_400.0


def sweep(
    older_than: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="DAYS",
            help="Days it must have been unused; else the setting retention_s.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Remove parsed text, chunks, vectors and retired generations that nothing has used for a time.
    What is searchable, and each collection's last retired generation, stay."""
    from rag.cli.backend import open_backend
    from rag.store import retention

    with open_backend() as backend:
        kept_s = backend.settings.retention_s if older_than is None else older_than * _DAY_S
        removed = retention.sweep(backend.conn, kept_s, backend.settings.query_retention_days)
    if as_json:
        write_json({"older_than_days": kept_s / _DAY_S, "removed": removed})
        return
    say(
        f"Removed {plural(removed['generations'], 'retired generation')}, "
        f"{plural(removed['parsed'], 'parsed text')} with its chunks, "
        f"{plural(removed['embeddings'], 'vector')}: unused for {kept_s / _DAY_S:g} days."
    )
    if "queries" in removed:
        say(f"Removed {plural(removed['queries'], 'old question')} from the log.")
