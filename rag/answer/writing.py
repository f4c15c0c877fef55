"""From a question to a checked, cited answer: condense, retrieve, write, check."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime

from rag.answer.citations import (
    CitationCheck,
    Dropped,
    uncited_sentences,
    without_citations,
)
from rag.answer.extract import extract
from rag.answer.passage import Passage
from rag.answer.prompt import answering, condensed, condensing
from rag.model import Hit
from rag.ports import LanguageModel, Message, Usage


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and the conversation before it."""

    text: str
    history: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """What a search gave: all hits, and those that bear on the question."""

    searched: str
    generation: int | None
    as_of: datetime | None
    hits: tuple[Hit, ...]
    relevant: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer as it went out. `cited` are the passages it names, `dropped` what was taken out,
    `uncited` the sentences that name none; `model` is None when no model wrote it."""

    text: str
    is_answered: bool
    cited: tuple[Passage, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    uncited: tuple[str, ...] = ()
    model: str | None = None
    usage: Usage = field(default_factory=Usage)


Retrieve = Callable[[str], Awaitable[Found]]


async def answer(
    question: Question, retrieve: Retrieve, model: LanguageModel | None, unknown: str
) -> AsyncGenerator[Found | str | Answer]:
    """What was found, then the answer's text in checked pieces, then the answer whole.

    The pieces joined are the answer's text. Without a relevant passage it is the sentence `unknown`
    and no model is called for it."""
    searched, usage = await _standalone(question, model)
    found = await retrieve(searched)
    yield found
    if not found.relevant:
        yield unknown
        yield Answer(unknown, is_answered=False, usage=usage)
    elif model is None:
        check = _check(found)
        text = check.feed(extract(searched, found.relevant)) + check.end()
        yield text
        yield _whole(text, found, check, unknown)
    else:
        async with aclosing(_written(question, found, model, unknown, usage)) as pieces:
            async for piece in pieces:
                yield piece


async def _standalone(question: Question, model: LanguageModel | None) -> tuple[str, Usage]:
    """The question as one searches for it."""
    if not question.history:
        return question.text, Usage()
    if model is None:
        asked = [turn.content for turn in question.history if turn.role == "user"]
        return "\n".join([*asked[-1:], question.text]), Usage()
    reply, usage = "", Usage()
    messages = condensing(question.text, question.history, key=_key())
    async with aclosing(model.reply(messages)) as pieces:
        async for piece in pieces:
            if isinstance(piece, Usage):
                usage = piece
            else:
                reply += piece
    return condensed(reply, question.text), usage


async def _written(
    question: Question, found: Found, model: LanguageModel, unknown: str, usage: Usage
) -> AsyncGenerator[str | Answer]:
    """The model's answer, checked as it comes."""
    key = _key()
    check = _check(found, key)
    messages = answering(question.text, found.relevant, question.history, key=key, unknown=unknown)
    text = ""
    async with aclosing(model.reply(messages)) as pieces:
        async for piece in pieces:
            if isinstance(piece, Usage):
                usage += piece
            elif ready := check.feed(piece):
                text += ready
                yield ready
    if rest := check.end():
        text += rest
        yield rest
    yield replace(_whole(text, found, check, unknown), model=model.name, usage=usage)


def _check(found: Found, secret: str = "") -> CitationCheck:
    sources = [text for each in found.relevant for text in (each.hit.text, each.hit.uri)]
    return CitationCheck([each.number for each in found.relevant], sources, secret)


def _whole(text: str, found: Found, check: CitationCheck, unknown: str) -> Answer:
    is_unknown = _plain(text) in (_plain(unknown), "")
    cited = [each for each in found.relevant if each.number in check.cited]
    return Answer(
        text,
        is_answered=bool(cited) and not is_unknown,
        cited=() if is_unknown else tuple(cited),
        dropped=tuple(check.dropped),
        uncited=() if is_unknown else tuple(uncited_sentences(text)),
    )


def _plain(text: str) -> str:
    return without_citations(text).casefold().strip(" .!\"'*")


def _key() -> str:
    return secrets.token_hex(8)
