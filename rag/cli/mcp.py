"""rag mcp: the tools for other programs' models, on standard input and output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rag.errors import RagError
    from rag.model import CollectionName


@dataclass(frozen=True, slots=True)
class _Operator:
    """Whoever started the command, held to the collections that it names."""

    collections: tuple[CollectionName, ...]
    name: str = "mcp"
    principals: Sequence[str] | None = None

    def open(self, name: CollectionName) -> CollectionName:
        """The name, if it is one of them."""
        from rag.errors import NotFoundError

        if self.collections and name not in self.collections:
            raise NotFoundError(
                f"There is no collection {name}: there are "
                f"{', '.join(map(str, self.collections))}.",
                code="collection_not_found",
            )
        return name

    def saw(self, name: CollectionName, document_id: int) -> None:
        """No record: whoever starts the command holds the database itself."""

    def wording(self, error: RagError) -> str:
        """All of it."""
        return error.message


def mcp(
    collection: Annotated[
        list[str] | None,
        typer.Option("--collection", "-c", metavar="NS/NAME",
                     help="Only this collection; may be repeated."),
    ] = None,
) -> None:  # fmt: skip
    """Serve the tools search, answer, list_documents and get_document over MCP on standard input
    and output, for editors and assistants. Over HTTP `rag serve` has them under /mcp."""
    import asyncio

    from rag.cli.answer import open_desk
    from rag.cli.backend import open_backend
    from rag.mcp.server import serve_stdio
    from rag.model import CollectionName

    names = tuple(CollectionName.parse(name) for name in collection or ())
    with open_backend() as backend:
        asyncio.run(serve_stdio(open_desk(backend), _Operator(names)))
