"""rag search: ask a collection, get cited passages."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from rag.cli.terminal import AsJson, escape, moment, say, write_json

if TYPE_CHECKING:
    from rag.model import Hit
    from rag.search import SearchResult

_QUOTE = 400


class SearchMode(StrEnum):
    """Which lists are searched."""

    HYBRID = "hybrid"
    RRF = "rrf"
    DENSE = "dense"
    BM25 = "bm25"


def search(
    name: Annotated[str, typer.Argument(metavar="NS/NAME", help="The collection to ask.")],
    query: Annotated[str, typer.Argument(help="A question, or words.")],
    k: Annotated[int, typer.Option("-k", min=1, max=100, help="How many passages.")] = 4,
    mode: Annotated[
        SearchMode,
        typer.Option(help="hybrid fuses the dense and the BM25 list by score, rrf by rank."),
    ] = SearchMode.HYBRID,
    max_per_document: Annotated[
        int | None, typer.Option(min=1, max=100, help="Most passages of one document.")
    ] = None,
    neighbors: Annotated[
        int, typer.Option(min=0, max=5, help="Chunks of text shown before and after, with --json.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Find the passages that answer a question, with document, page, heading and score."""
    from rag.asking import Embedders, search_live
    from rag.cli.backend import load_embedder, open_backend
    from rag.model import CollectionName
    from rag.rerank import open_reranker
    from rag.search import SearchRequest

    request = SearchRequest(
        CollectionName.parse(name), query, None, k=k, mode=mode.value, principals=None,
        max_per_document=max_per_document, neighbors=neighbors,
    )  # fmt: skip
    with open_backend() as backend:
        embedders = Embedders(backend.settings, load_embedder)
        reranker = open_reranker(backend.settings.reranker_model)
        result = search_live(backend.conn, embedders, request, reranker)
    if as_json:
        write_json(as_object(name, query, mode, result))
    else:
        _show(name, query, result)


def as_object(name: str, query: str, mode: SearchMode, result: SearchResult) -> dict[str, object]:
    """The answer of `search --json`."""
    return {
        "collection": name,
        "query": query,
        "mode": mode.value,
        "generation": result.generation,
        "as_of": result.as_of,
        "hits": [hit_object(hit) for hit in result.hits],
    }


def hit_object(hit: Hit) -> dict[str, object]:
    """A passage as JSON."""
    neighbors = {"before": hit.before, "after": hit.after} if hit.before or hit.after else {}
    return {**hit.as_object(), "ranks": dict(hit.ranks), **neighbors}


def _show(name: str, query: str, result: SearchResult) -> None:
    if result.generation is None:
        say(f"{name} has no searchable documents yet: `rag status {name}` says why.")
        return
    if not result.hits:
        say("No passage found: use other words, or --mode hybrid.")
        return
    for number, hit in enumerate(result.hits, start=1):
        show_hit(number, hit, query)
    if result.as_of is not None:
        say(f"[dim]generation {result.generation}, as of {moment(result.as_of)}[/dim]")


def show_hit(number: int, hit: Hit, query: str, limit: int = _QUOTE) -> None:
    """A passage with its citation."""
    from rich.padding import Padding

    from rag.cli.quote import excerpt
    from rag.cli.terminal import console

    say(f"[bold]{number}. {escape(hit.document)}[/bold]{citation(hit)}")
    console().print(Padding(escape(excerpt(hit.text, query, limit)), (0, 0, 1, 3)))


def citation(hit: Hit) -> str:
    """Page, heading, score and place in each list, as one line."""
    ranks = ", ".join(f"{name} {rank}" for name, rank in hit.ranks.items())
    page = "" if hit.page is None else f", page {hit.page}"
    heading = f", {escape(hit.heading)}" if hit.heading else ""
    return f"{page}{heading} [dim](score {hit.score:.4f}: {ranks})[/dim]"
