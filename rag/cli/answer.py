"""rag answer: ask a collection, get a cited answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.cli.terminal import AsJson, escape, say, write_json

if TYPE_CHECKING:
    from rag.answer.desk import Closing, Desk, Inquiry
    from rag.cli.backend import Backend
    from rag.store.database import Connection


def answer(
    question: Annotated[str, typer.Argument(help="What to ask.")],
    collection: Annotated[
        str, typer.Option("--collection", "-c", metavar="NS/NAME", help="The collection to ask.")
    ],
    k: Annotated[int, typer.Option("-k", min=1, max=20, help="How many passages to use.")] = 4,
    as_json: AsJson = False,
) -> None:
    """Answer a question from a collection's documents, each sentence with its source. With
    RAG_LLM_BASE_URL a language model writes it, else it is made of the best sentences found."""
    from rag.answer.desk import Inquiry
    from rag.answer.writing import Question
    from rag.cli.backend import open_backend
    from rag.model import CollectionName

    name = CollectionName.parse(collection)
    inquiry = Inquiry(name, Question(question), "cli", k=k, principals=None)
    with open_backend() as backend:
        closing = asyncio.run(_closing(open_desk(backend), inquiry, is_silent=as_json))
    if as_json:
        write_json(as_object(collection, question, closing))
    else:
        _show(closing)


async def _closing(desk: Desk, inquiry: Inquiry, *, is_silent: bool) -> Closing:
    """Show the answer as it comes; returns its end."""
    from rag.answer.desk import Closing
    from rag.cli.terminal import console

    try:
        async with aclosing(desk.answer(inquiry)) as reply:
            async for event in reply:
                if isinstance(event, Closing):
                    return event
                if isinstance(event, str) and not is_silent:
                    console().print(escape(event), end="", soft_wrap=True)
    finally:
        await desk.close()
    raise AssertionError("a reply ends with its closing")


def open_desk(backend: Backend) -> Desk:
    """A desk over one connection; whoever has the database's address may see everything."""
    from threading import RLock

    from rag.answer.desk import Desk
    from rag.asking import Embedders, Finder, on
    from rag.cli.backend import load_embedder
    from rag.llm import open_model
    from rag.rerank import open_reranker

    settings = backend.settings
    lock = RLock()  # one connection, and tools are called side by side

    @contextmanager
    def connection() -> Iterator[Connection]:
        with lock:
            yield backend.conn

    @contextmanager
    def reading(namespace: str) -> Iterator[Connection]:
        with lock, on(backend.conn)(namespace) as conn:
            yield conn

    return Desk(
        reading=reading,
        writing=connection,
        finder=Finder(Embedders(settings, load_embedder), open_reranker(settings.reranker_model)),
        model=open_model(settings),
        unknown=settings.answer_unknown,
        min_similarity=settings.answer_min_similarity,
    )


def as_object(collection: str, question: str, closing: Closing) -> dict[str, Any]:
    """The answer of `answer --json`."""
    from rag.cli.search import hit_object

    made = closing.answer
    return {
        "collection": collection,
        "question": question,
        "query_id": str(closing.query_id),
        "answer": made.text,
        "is_answered": made.is_answered,
        "citations": [{"number": each.number, **hit_object(each.hit)} for each in made.cited],
        "dropped": [asdict(each) for each in made.dropped],
        "uncited": list(made.uncited),
        "model": made.model,
        "usage": asdict(made.usage),
        "latency_ms": round(closing.latency_ms, 1),
        "generation": closing.found.generation,
        "as_of": closing.found.as_of,
    }


def _show(closing: Closing) -> None:
    from rag.cli.search import citation

    say()
    for each in closing.answer.cited:
        say(f"  [bold]{escape(f'[{each.number}]')} {escape(each.hit.document)}[/bold]"
            f"{citation(each.hit)}")  # fmt: skip
    for dropped in closing.answer.dropped:
        say(f"[dim]taken out ({dropped.reason}): {escape(dropped.text)}[/dim]")
    if closing.answer.model is None and closing.answer.is_answered:
        say("[dim]No language model is set (RAG_LLM_BASE_URL): these are the best sentences "
            "found.[/dim]")  # fmt: skip
