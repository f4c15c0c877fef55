"""POST /rag: a cited answer, whole or as a stream of events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import Depends, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from rag.answer.desk import Closing, Desk, Inquiry, Opening, Reply
from rag.answer.passage import Passage as NumberedPassage
from rag.answer.writing import Question
from rag.api.ask import Passage
from rag.api.faults import UNEXPECTED, fault_of
from rag.api.principal import Principal
from rag.api.service import Caller, Service
from rag.errors import RagError
from rag.filter_form import QueryFilters, Text
from rag.llm import open_model
from rag.model import CollectionName, Hit
from rag.ports import Message
from rag.search import Mode

STREAM_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
# more passages than this make no better answer, and a prompt that no model reads to its end
_MOST_PASSAGES = 20
_MOST_TURNS = 50


def open_desk(service: Service) -> Desk:
    """The service's desk. Raises ConfigurationError (`model_not_named`)."""
    settings = service.settings
    return Desk(
        reading=service.reading,
        writing=service.database.connection,
        finder=service.finder,
        model=open_model(settings),
        unknown=settings.answer_unknown,
        min_similarity=settings.answer_min_similarity,
        call_ended=service.meters.call_ended,
    )


async def _desk(request: Request) -> Desk:
    found: Desk = request.app.state.desk
    return found


Answering = Annotated[Desk, Depends(_desk)]


class Turn(BaseModel):
    """What was said before."""

    model_config = ConfigDict(extra="forbid")
    role: Literal["user", "assistant"]
    content: Annotated[Text, Field(max_length=32_000)]


class Ask(BaseModel):
    """A question to one collection, with the conversation before it."""

    model_config = ConfigDict(extra="forbid")
    query: Annotated[Text, Field(max_length=4000)]
    collection: Annotated[str, Field(max_length=127, examples=["acme/docs"])]
    k: int = Field(4, ge=1, le=_MOST_PASSAGES)
    mode: Mode = "hybrid"
    filters: QueryFilters = QueryFilters()
    min_score: float | None = Field(None, allow_inf_nan=False)
    history: Annotated[list[Turn], Field(max_length=_MOST_TURNS)] = []
    stream: bool = False

    def inquiry(self, caller: Principal) -> Inquiry:
        """The same as the desk takes it. Raises NotFoundError (`collection_not_found`)."""
        return Inquiry(
            name=caller.open(CollectionName.parse(self.collection)),
            question=Question(
                self.query, tuple(Message(turn.role, turn.content) for turn in self.history)
            ),
            principal=caller.name,
            k=self.k,
            mode=self.mode,
            filters=self.filters.for_search(),
            min_score=self.min_score,
            principals=caller.principals,
            logged_filters=self.filters.for_log(),
        )


async def rag(body: Ask, request: Request, desk: Answering, caller: Caller) -> Any:
    """An answer that cites the passages it rests on. With `stream` events come as they are made:
    `passages`, `delta`s, then `done`, or `error`."""
    reply = desk.answer(body.inquiry(caller))
    if not body.stream:
        return final(await whole(reply))
    opening = await opened(reply)
    return StreamingResponse(
        _events(opening, reply, request), media_type="text/event-stream", headers=STREAM_HEADERS
    )


async def whole(reply: Reply) -> Closing:
    """The end of a reply."""
    async with aclosing(reply):
        async for event in reply:
            if isinstance(event, Closing):
                return event
    raise AssertionError("a reply ends with its closing")


async def opened(reply: Reply) -> Opening:
    """The beginning of a reply; what fails before it is an ordinary answer with a status."""
    opening = await anext(reply)
    assert isinstance(opening, Opening)
    return opening


async def _events(opening: Opening, reply: Reply, request: Request) -> AsyncIterator[str]:
    found = opening.found
    yield _event("passages", {
        "query_id": str(opening.query_id),
        "generation": found.generation,
        "as_of": found.as_of,
        "hits": [_passage(hit) for hit in found.hits],
    })  # fmt: skip
    try:
        async with aclosing(reply):
            async for event in reply:
                if isinstance(event, str):
                    yield _event("delta", {"text": event})
                elif isinstance(event, Closing):
                    yield _event("done", final(event))
    except RagError as error:
        yield _event("error", fault_of(error).body(request.state.request_id))
    except Exception:
        yield _event("error", UNEXPECTED.body(request.state.request_id))
        raise


def _passage(hit: Hit) -> dict[str, Any]:
    """A hit as POST /query shows it."""
    return Passage.model_validate(hit, from_attributes=True).model_dump()


def _event(name: str, data: object) -> str:
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False, default=str)}\n\n"


def final(closing: Closing) -> dict[str, Any]:
    """The answer with everything that is known of it."""
    answer = closing.answer
    return {
        "query_id": str(closing.query_id),
        "answer": answer.text,
        "is_answered": answer.is_answered,
        "citations": [citation(passage) for passage in answer.cited],
        "dropped": [asdict(each) for each in answer.dropped],
        "uncited": list(answer.uncited),
        "model": answer.model,
        "usage": asdict(answer.usage),
        "latency_ms": round(closing.latency_ms, 1),
        "generation": closing.found.generation,
        "as_of": closing.found.as_of,
    }


def citation(passage: NumberedPassage) -> dict[str, Any]:
    """A passage as an answer cites it."""
    return {"number": passage.number, **passage.hit.as_object()}
