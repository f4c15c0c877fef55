"""rag up: the whole stack in the foreground, until Ctrl-C."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rag.cli.terminal import AsJson, escape, note, say, write_json

if TYPE_CHECKING:
    from rag.settings import Settings
    from rag.stack.endpoints import Endpoints


def up(as_json: AsJson = False) -> None:
    """Run the whole stack: PostgreSQL, object store, Dagster's daemon and UI, the web page and HTTP
    service. Ctrl-C stops all of it."""
    from rag.settings import load_settings
    from rag.stack.supervisor import connect_or_start, running_stack
    from rag.store.migration import migrate

    settings = load_settings()
    try:
        with connect_or_start(settings) as before:
            migrate(before.database_url)  # before Dagster's sensors look at it
        with running_stack(settings, _show_progress, with_service=True) as stack:
            if as_json:
                write_json(addresses(settings, stack.endpoints))
            else:
                show_addresses(settings, stack.endpoints)
                say("\nCtrl-C stops all of it.")
            stack.wait()
    except KeyboardInterrupt:
        note("Stopped.")


def _show_progress(line: str) -> None:
    note(f"[dim]{escape(line)}[/dim]")


def addresses(settings: Settings, endpoints: Endpoints) -> dict[str, object]:
    """Where the servers are, without their secrets."""
    from rag.cli.provenance import without_password

    s3 = endpoints.s3
    return {
        "page": endpoints.api_url,
        "dagster": endpoints.dagster_url,
        "s3": s3.endpoint_url if s3 else settings.s3_endpoint_url or "AWS",
        "database": without_password(endpoints.database_url),
        "home": str(settings.home.resolve()),
    }


def show_addresses(settings: Settings, endpoints: Endpoints) -> None:
    """Where the servers are, for people."""
    shown = addresses(settings, endpoints)
    say(f"  Web page     {shown['page']}")
    say(f"  Dagster      {shown['dagster']}")
    say(f"  S3           {shown['s3']}")
    say(f"  PostgreSQL   {shown['database']}")
    say(f"  logs         {shown['home']}/logs")
