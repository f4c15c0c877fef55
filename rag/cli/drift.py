"""rag drift: an operator's word on what a collection has become."""

from __future__ import annotations

from typing import Annotated

import typer

from rag.cli.terminal import AsJson, plural, say, write_json

app = typer.Typer(
    help="Say that what a collection has become is welcome.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def drift() -> None:
    """Say that what a collection has become is welcome."""


@app.command()
def accept(
    name: Annotated[str, typer.Argument(metavar="NS/NAME", help="The collection's full name.")],
    as_json: AsJson = False,
) -> None:
    """Forget what the collection is compared with: the next check takes what is there now."""
    from rag.cli.backend import open_backend
    from rag.model import CollectionName
    from rag.store import collections
    from rag.store.drift import drop_references

    with open_backend() as backend:
        found = collections.find_collection(backend.conn, CollectionName.parse(name))
        dropped = drop_references(backend.conn, found.id)
    if as_json:
        write_json({"collection": name, "forgotten": dropped})
    else:
        say(f"{plural(dropped, 'reference')} of {name} forgotten; the next check takes new ones.")
