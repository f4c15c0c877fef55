"""rag migrate: bring the database to the schema of this code."""

from __future__ import annotations

from rag.cli.terminal import AsJson, plural, say, write_json


def migrate(as_json: AsJson = False) -> None:
    """Bring the database to this version's schema. Forward only; a repeat changes nothing."""
    from rag.settings import load_settings
    from rag.stack.supervisor import connect_or_start
    from rag.store.migration import migrate as apply

    with connect_or_start(load_settings()) as endpoints:
        revisions = apply(endpoints.database_url)
    if as_json:
        write_json({"applied": revisions})
    elif revisions:
        say(f"Applied {plural(len(revisions), 'migration')}: {', '.join(revisions)}.")
    else:
        say("The schema is up to date.")
