"""POST /v1/chat/completions and GET /v1/models, as OpenAI's clients speak them.

A model is a collection, `namespace/name`. Citations stand in the text as [n] with a list of sources
at its end, and in the extra field `citations`.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any, Literal

from fastapi import Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from rag.answer.desk import Closing, Inquiry, Opening, Reply
from rag.answer.passage import Passage
from rag.answer.writing import Question
from rag.api.answers import STREAM_HEADERS, Answering, citation, opened, whole
from rag.api.faults import fault_of
from rag.api.principal import Principal
from rag.api.service import Caller, Serving
from rag.errors import ConfigurationError, NotFoundError, RagError
from rag.filter_form import Text
from rag.model import CollectionName
from rag.ports import Message
from rag.store import collections

# of a conversation: clients send all of it, for as long as it is
_MOST_TURNS = 100
_LongText = Annotated[Text, Field(max_length=32_000)]


class Part(BaseModel):
    """A piece of a message; texts only are read."""

    type: str
    text: _LongText = ""


class ChatMessage(BaseModel):
    """As OpenAI's. The rules are ours: `system` and `developer` messages are passed over."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: _LongText | Annotated[list[Part], Field(max_length=100)] | None = None

    @property
    def said(self) -> str:
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.type == "text")
        return self.content or ""


class StreamOptions(BaseModel):
    """As OpenAI's."""

    include_usage: bool = False


class Completion(BaseModel):
    """As OpenAI's; settings that do not apply here are passed over."""

    model: Annotated[str, Field(max_length=127, examples=["acme/docs"])]
    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    stream: bool = False
    stream_options: StreamOptions | None = None

    def inquiry(self, caller: Principal) -> Inquiry:
        """The last message as a question, the newest of those before it as its history."""
        turns = [each for each in self.messages if each.role in ("user", "assistant")]
        if not turns or turns[-1].role != "user":
            raise ConfigurationError(
                "The last message must be the user's question.", code="empty_query"
            )
        try:
            name = caller.open(CollectionName.parse(self.model))
        except ConfigurationError:
            raise _no_model() from None
        history = tuple(Message(turn.role, turn.said) for turn in turns[-1 - _MOST_TURNS : -1])  # type: ignore[arg-type]
        question = Question(turns[-1].said, history)
        return Inquiry(name, question, caller.name, principals=caller.principals)


async def chat_completions(
    body: Completion, request: Request, desk: Answering, caller: Caller
) -> Any:
    """A cited answer of a collection in OpenAI's shape, whole or streamed."""
    reply = desk.answer(body.inquiry(caller))
    if body.stream:
        opening = await opened(reply)
        return StreamingResponse(
            _chunks(body, opening, reply, request), media_type="text/event-stream",
            headers=STREAM_HEADERS,
        )  # fmt: skip
    closing = await whole(reply)
    message = {"role": "assistant", "content": closing.answer.text + _sources(closing.answer.cited)}
    return {
        "id": f"chatcmpl-{closing.query_id}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": body.model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": _usage(closing),
        **_extra(closing),
    }


async def _chunks(
    body: Completion, opening: Opening, reply: Reply, request: Request
) -> AsyncIterator[str]:
    head = {
        "id": f"chatcmpl-{opening.query_id}", "object": "chat.completion.chunk",
        "created": int(time.time()), "model": body.model,
    }  # fmt: skip

    def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return _line({**head, "choices": [choice], **more})

    yield chunk({"role": "assistant", "content": ""})
    try:
        async with aclosing(reply):
            async for event in reply:
                if isinstance(event, str):
                    yield chunk({"content": event})
                elif isinstance(event, Closing):
                    if sources := _sources(event.answer.cited):
                        yield chunk({"content": sources})
                    yield chunk({}, "stop", **_extra(event))
                    if body.stream_options is not None and body.stream_options.include_usage:
                        yield _line({**head, "choices": [], "usage": _usage(event)})
    except RagError as error:
        yield _line({"error": fault_of(error).body(request.state.request_id)})
    yield "data: [DONE]\n\n"


def _line(data: object) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False, default=str)}\n\n"


def _sources(cited: tuple[Passage, ...]) -> str:
    """The cited passages as lines that end an answer."""
    lines = [
        f"[{each.number}] {each.hit.title or each.hit.document}"
        + ("" if each.hit.page is None else f", page {each.hit.page}")
        + f" ({each.hit.uri})"
        for each in cited
    ]
    return "\n\nSources:\n" + "\n".join(lines) if lines else ""


def _extra(closing: Closing) -> dict[str, Any]:
    as_of = closing.found.as_of
    return {
        "query_id": str(closing.query_id),
        "is_answered": closing.answer.is_answered,
        "generation": closing.found.generation,
        "as_of": as_of and as_of.isoformat(),
        "citations": [citation(passage) for passage in closing.answer.cited],
    }


def _usage(closing: Closing) -> dict[str, int]:
    usage = closing.answer.usage
    total = usage.prompt_tokens + usage.completion_tokens
    return {
        "prompt_tokens": usage.prompt_tokens, "completion_tokens": usage.completion_tokens,
        "total_tokens": total,
    }  # fmt: skip


def models(service: Serving, caller: Caller) -> dict[str, Any]:
    """The collections that the caller may ask, and the embedding model."""
    with service.reading_for(caller) as conn:
        rows = collections.list_collections(conn)
    names = [CollectionName(row["namespace"], row["name"]) for row in rows]
    served = [str(name) for name in names if caller.may_open(name)]
    made = [
        {"id": each, "object": "model", "created": 0, "owned_by": each.partition("/")[0]}
        for each in [*served, service.model_name]
    ]
    return {"object": "list", "data": made}


def _no_model() -> NotFoundError:
    return NotFoundError(
        "There is no such model: name a collection as namespace/name; GET /v1/models lists them.",
        code="model_not_served",
    )
