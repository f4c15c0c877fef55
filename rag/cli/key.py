"""rag key: make, list and revoke the keys of the HTTP API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import typer

from rag.cli.terminal import AsJson, note, say, table, write_json
from rag.errors import ConfigurationError

app = typer.Typer(
    help="Make, list and revoke the keys of the HTTP API.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ALL = "*"


class KeyRole(StrEnum):
    """What a key may do."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


@app.command()
def create(
    namespace: Annotated[
        str,
        typer.Argument(metavar="NS", help="The namespace it opens; '*' is all, for operators."),
    ],
    collection: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Open this collection of the namespace only. May be repeated."
        ),
    ] = None,
    principal: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Sees this person's or group's documents beside those that are everyone's. May "
            "be repeated.",
        ),
    ] = None,
    role: Annotated[
        KeyRole,
        typer.Option(
            help="read searches and gives feedback, write also uploads and deletes, admin also "
            "sees documents whose access lists do not name it.",
        ),
    ] = KeyRole.READ,
    expires: Annotated[
        str | None, typer.Option(metavar="DAYS|DATE", help="Days from now, or a date (UTC).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and show it, this once: only its hash is kept. From the first key on the API
    serves nobody without one."""
    from rag.cli.backend import open_backend
    from rag.store.access import KeyScope, create_key

    chosen = tuple(collection or ())
    scope = KeyScope(
        None if namespace == ALL else namespace, role.value, chosen or None,
        tuple(principal or ()),
    )  # fmt: skip
    _check_names(namespace, chosen)
    until = None if expires is None else moment_of(expires, datetime.now(UTC))
    with open_backend() as backend:
        key = create_key(backend.conn, scope, until)
    if as_json:
        write_json({"key": key, "prefix": key.partition(".")[0], "expires_at": until})
        return
    say(key)
    note("Keep it: it is not shown again. Send it as `Authorization: Bearer KEY`.")


def _check_names(namespace: str, collections: tuple[str, ...]) -> None:
    from rag.model import CollectionName

    if namespace == ALL and collections:
        raise ConfigurationError(
            "A key of all namespaces can not be limited to collections: name the namespace.",
            code="bad_name",
        )
    for name in collections or ("any",):
        if namespace != ALL:
            CollectionName.parse(f"{namespace}/{name}")


def moment_of(text: str, now: datetime) -> datetime:
    """The end that `30` (days) or `2027-01-31` names. Raises ConfigurationError (`bad_expiry`)
    for what is neither, or past."""
    try:
        end = (
            now + timedelta(days=float(text)) if _is_number(text) else datetime.fromisoformat(text)
        )
        end = end if end.tzinfo else end.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        end = now
    if end <= now:
        raise ConfigurationError(
            f"'{text}' is no time to come: write days (30) or a date (2027-01-31).",
            code="bad_expiry",
        )
    return end


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()


@app.command("list")
def list_all(as_json: AsJson = False) -> None:
    """All keys by their prefixes: what they open, until when, when they were last used."""
    from rag.cli.backend import open_backend
    from rag.store.access import list_keys

    with open_backend() as backend:
        rows = list_keys(backend.conn)
    if as_json:
        write_json({"keys": rows})
        return
    if not rows:
        say("There is no key yet, so the API serves this machine only: `rag key create NS`.")
        return
    table(
        ["key", "namespace", "collections", "principals", "role", "state", "expires", "last used"],
        [
            (
                row["prefix"],
                row["namespace"] or ALL,
                "\n".join(row["collections"] or ["all"]),
                "\n".join(row["principals"]),
                row["role"],
                row["state"],
                row["expires_at"],
                row["last_used_at"],
            )
            for row in rows
        ],
        fixed=["key", "role", "state"],
    )


@app.command()
def revoke(
    prefix: Annotated[str, typer.Argument(metavar="KEY", help="The key, or its part in the list.")],
    as_json: AsJson = False,
) -> None:
    """Close a key; a running service refuses it within RAG_API_KEY_MEMORY_S (one second). A repeat
    changes nothing."""
    from rag.cli.backend import open_backend
    from rag.store.access import revoke_key

    short = prefix.partition(".")[0]
    with open_backend() as backend:
        revoke_key(backend.conn, short)
    if as_json:
        write_json({"revoked": short})
    else:
        say(f"{short} opens nothing any more.")
