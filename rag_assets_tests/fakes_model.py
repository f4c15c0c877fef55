"""A language model without a model: it says what it is told to say, piece by piece."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field

from rag.errors import RagError
from rag.ports import Message, Usage


@dataclass(slots=True)
class FakeModel:
    """A `LanguageModel`; `calls` keeps what it was asked, `error` is raised when set, after
    `pieces_before_error` pieces."""

    say: Callable[[Sequence[Message]], str] = lambda messages: "The rope is inspected monthly [1]."
    name: str = "fake-model"
    error: RagError | None = None
    pieces_before_error: int = 0
    calls: list[list[Message]] = field(default_factory=list)
    is_closed: bool = False

    async def reply(self, messages: Sequence[Message]) -> AsyncGenerator[str | Usage]:
        self.calls.append(list(messages))
        text = self.say(messages)
        try:
            for index, at in enumerate(range(0, len(text), 7)):
                if self.error is not None and index == self.pieces_before_error:
                    raise self.error
                yield text[at : at + 7]
        finally:
            self.is_closed = True
        prompt = sum(len(message.content.split()) for message in messages)
        yield Usage(prompt, len(text.split()))

    async def close(self) -> None:
        self.is_closed = True
