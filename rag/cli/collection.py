"""rag collection: make collections, bind sources to them, look at them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from rag.cli.terminal import AsJson, escape, plural, say, table, write_json
from rag.model import MOST_DAYS

if TYPE_CHECKING:
    from rag.model import SourceOptions
    from rag.store.database import Row

app = typer.Typer(
    help="Make collections, bind sources to them, look at them.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Name = Annotated[str, typer.Argument(metavar="NS/NAME", help="The collection's full name.")]
Include = Annotated[
    list[str] | None,
    typer.Option(
        metavar="GLOB",
        help="Take only objects that match: *.pdf, reports/**. May be repeated; * takes all.",
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(metavar="GLOB", help="Leave out objects that match. May be repeated."),
]
Gate = Annotated[
    bool,
    typer.Option(
        "--gate/--no-gate",
        help="Whether a generation that has caught up waits for the gate, or goes live by itself.",
    ),
]
MaxBytes = Annotated[int | None, typer.Option(min=1, metavar="N", help="Leave out larger objects.")]
Days = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=MOST_DAYS,
        metavar="N",
        help="Leave out objects last modified more than N days before today; the bound stays at "
        "that day.",
    ),
]
Since = Annotated[
    datetime | None,
    typer.Option(
        formats=["%Y-%m-%d"],
        metavar="DATE",
        help="The same by a date (2026-01-31, UTC).",
    ),
]


@app.command()
def create(
    name: Name,
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--source",
            "-s",
            metavar="URI",
            help="Where its documents come from: s3://bucket/prefix/ or a folder. May be repeated.",
        ),
    ] = None,
    include: Include = None,
    exclude: Exclude = None,
    max_bytes: MaxBytes = None,
    days: Days = None,
    since: Since = None,
    shards: Annotated[
        int, typer.Option(min=1, max=100, help="Partitions that are brought up to date apart.")
    ] = 1,
    language: Annotated[
        str, typer.Option(help="Text search configuration of Postgres for the lexical list.")
    ] = "english",
    gate: Gate = False,
    as_json: AsJson = False,
) -> None:
    """Make a collection and bind sources to it; what is said of objects holds for each of them."""
    from rag.cli.backend import open_backend
    from rag.cli.language import check_language
    from rag.model import CollectionName
    from rag.sources.open import normalise_uri
    from rag.store import collections, generations

    full_name = CollectionName.parse(name)
    uris = [normalise_uri(uri) for uri in source or []]
    options = _options(include, exclude, max_bytes, _bound(days, since))
    with open_backend() as backend:
        check_language(backend.conn, language)
        with backend.conn.transaction():
            made = collections.create_collection(
                backend.conn, full_name, shards=shards, language=language
            )
            generations.set_gate(backend.conn, made.id, gate)
            for uri in uris:
                collections.add_source(backend.conn, made, uri, **options)
    if as_json:
        write_json({"collection": name, "sources": uris, "shards": shards, "language": language,
                    "is_gated": gate})  # fmt: skip
    else:
        _show_created(name, uris)


def _options(
    include: list[str] | None, exclude: list[str] | None, max_bytes: int | None, since: str | None
) -> SourceOptions:
    return {
        "includes": include or [],
        "excludes": exclude or [],
        "max_bytes": max_bytes,
        "since": since,
    }


def _bound(days: int | None, since: datetime | None) -> str | None:
    """The day that the options name."""
    from rag.sources.selection import days_ago

    now = datetime.now(UTC)
    if since is None:
        return None if days is None else days_ago(days, now)
    if days is not None:
        raise typer.BadParameter("--days and --since say the same: give one of them.")
    if since.date() > now.date():
        raise typer.BadParameter("--since is in the future: nothing would be taken.")
    return since.date().isoformat()


def _sources(row: Row) -> list[str]:
    bounds = row["bounds"]
    return [f"{uri} (since {bounds[uri]})" if uri in bounds else uri for uri in row["sources"]]


def _show_created(name: str, uris: list[str]) -> None:
    say(f"Created [bold]{name}[/bold] with {plural(len(uris), 'source')}.")
    for uri in uris:
        say(f"  {escape(uri)}")
    say(f"Next: `rag ingest --collection {name}`, or leave it to the sensor of `rag up`.")


@app.command("set")
def set_(name: Name, gate: Gate, as_json: AsJson = False) -> None:
    """Change how a collection's generations go live."""
    from rag.cli.backend import open_backend
    from rag.model import CollectionName
    from rag.store import collections, generations

    with open_backend() as backend:
        found = collections.find_collection(backend.conn, CollectionName.parse(name))
        generations.set_gate(backend.conn, found.id, gate)
    if as_json:
        write_json({"collection": name, "is_gated": gate})
    else:
        waits = "waits for `rag index gate`" if gate else "goes live when it has caught up"
        say(f"A new generation of [bold]{name}[/bold] {waits}.")


@app.command()
def add_source(
    name: Name,
    uri: Annotated[
        str, typer.Argument(metavar="URI", help="s3://bucket/prefix/, a folder or another source.")
    ],
    include: Include = None,
    exclude: Exclude = None,
    max_bytes: MaxBytes = None,
    days: Days = None,
    since: Since = None,
    as_json: AsJson = False,
) -> None:
    """Bind a source to a collection, or change which objects of it are taken: what is said here
    replaces what was said before. What is no longer taken leaves the index as deleted objects
    do."""
    from rag.cli.backend import open_backend
    from rag.cli.standing_view import chosen
    from rag.model import CollectionName
    from rag.sources.open import normalise_uri
    from rag.store import collections

    full_name, address = CollectionName.parse(name), normalise_uri(uri)
    options = _options(include, exclude, max_bytes, _bound(days, since))
    with open_backend() as backend:
        found = collections.find_collection(backend.conn, full_name)
        collections.add_source(backend.conn, found, address, **options)
        (row,) = (r for r in collections.list_sources(backend.conn, found) if r["uri"] == address)
    if as_json:
        write_json({"collection": name, "source": address, "options": row["options"]})
    else:
        say(f"{escape(address)} belongs to [bold]{name}[/bold]{chosen(row['options'])}.")
        say(f"`rag plan {name}` shows what that changes.")


@app.command("list")
def list_all(as_json: AsJson = False) -> None:
    """All collections with their sources and counts."""
    from rag.cli.backend import open_backend
    from rag.store import collections

    with open_backend() as backend:
        rows = collections.list_collections(backend.conn)
    if as_json:
        write_json({"collections": rows})
        return
    if not rows:
        say("There is no collection yet: `rag collection create NS/NAME --source URI` makes one.")
        return
    table(
        ["collection", "documents", "chunks", "shards", "language", "sources"],
        [
            (
                f"{row['namespace']}/{row['name']}",
                row["documents"],
                int(row["chunks"]),
                row["shards"],
                row["language"],
                escape("\n".join(_sources(row)) or "none"),
            )
            for row in rows
        ],
        right=["documents", "chunks", "shards"],
        fixed=["collection"],
    )


@app.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """One collection: its sources, its generations, its documents by state."""
    from rag.cli.backend import open_backend
    from rag.cli.standing_view import show_overview
    from rag.model import CollectionName
    from rag.store import standing

    full_name = CollectionName.parse(name)
    with open_backend() as backend:
        shown = standing.overview(backend.conn, full_name)
    if as_json:
        write_json(shown)
    else:
        show_overview(shown)
