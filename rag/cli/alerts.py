"""rag alerts: what is wrong, who is told, and whether telling works."""

from __future__ import annotations

from typing import Annotated

import typer

from rag.cli.terminal import AsJson, escape, say, table, write_json
from rag.errors import NotFoundError

app = typer.Typer(
    help="See what is wrong, who is told, and whether telling works.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command("list")
def list_(
    collection: Annotated[
        str | None, typer.Option(metavar="NS/NAME", help="Of this collection only.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Closed incidents, too.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="At most so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the open incidents, newest first, and notices that were not delivered."""
    from rag.cli.backend import open_backend
    from rag.store import alerts

    with open_backend() as backend:
        found = alerts.incidents(
            backend.conn, open_only=not everything, collection=collection, limit=limit
        )
        undelivered = alerts.outbox(backend.conn)
    if as_json:
        write_json({"incidents": found, "undelivered": undelivered})
        return
    if not found:
        say("Nothing is wrong.")
    else:
        columns = ("id", "severity", "since", "seen", "closed", "what")
        rows = [
            (row["id"], row["severity"], row["opened_at"], row["signals"], row["closed_at"],
             escape(f"{row['title']}\n{row['detail']}"))
            for row in found
        ]  # fmt: skip
        table(columns, rows, right=("id", "seen"), fixed=("severity", "since"))
    for row in undelivered:
        say(
            f"Route {escape(row['route'])}: {row['waiting']} notices wait, {row['given_up']} were "
            f"given up ({escape(row['error'] or 'not tried yet')})."
        )


@app.command()
def routes(as_json: AsJson = False) -> None:
    """List the routes of the settings, without their addresses."""
    from rag.settings import load_settings

    found = load_settings().alert_routes
    if as_json:
        write_json({name: route.model_dump(mode="json") for name, route in found.items()})
        return
    if not found:
        say("No route: set `alert_routes`, see docs/alerts.md.")
        return
    rows = [
        (
            escape(name),
            route.channel,
            route.min_severity,
            escape(", ".join(route.collections)),
            ", ".join(route.kinds) or "all",
            f"{route.quiet_from} to {route.quiet_until} {route.time_zone}"
            if route.quiet_from
            else None,
        )
        for name, route in found.items()
    ]
    table(("route", "channel", "from", "collections", "kinds", "quiet"), rows)


@app.command()
def test(
    route: Annotated[str, typer.Argument(metavar="ROUTE", help="A name of `rag alerts routes`.")],
    as_json: AsJson = False,
) -> None:
    """Send a test notice to one route, now. It touches no incident."""
    from datetime import UTC, datetime

    from rag.alerts.delivery import send
    from rag.settings import load_settings

    settings = load_settings()
    if route not in settings.alert_routes:
        raise NotFoundError(
            f"There is no route {route}: `rag alerts routes` lists them.", code="route_not_found"
        )
    now = datetime.now(UTC)
    notice = {
        "id": int(now.timestamp()), "incident_id": 0, "event": "recovered", "kind": "check",
        "severity": "warn", "collection": None, "title": "A test of this route",
        "detail": "Nothing is wrong.", "signals": 1, "key": "test", "opened_at": now,
        "made_at": now,
    }  # fmt: skip
    send(settings, settings.alert_routes[route], notice)
    if as_json:
        write_json({"route": route, "delivered": True})
    else:
        say(f"Delivered to {escape(route)}.")
