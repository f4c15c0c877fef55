"""A language model whose calls and tokens are counted."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from rag.api.meters import Meters
from rag.errors import RagError
from rag.ports import LanguageModel, Message, Usage


class MeteredModel:
    """A `LanguageModel` that is another one. A call with its repeats counts once, by how it ended:
    `ok`, `cancelled` or an error's code."""

    def __init__(self, model: LanguageModel, meters: Meters) -> None:
        self.name = model.name
        self._model, self._meters = model, meters

    async def reply(self, messages: Sequence[Message]) -> AsyncGenerator[str | Usage]:
        """The pieces of the reply as they come, then its usage."""
        outcome = "cancelled"
        try:
            async with aclosing(self._model.reply(messages)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Usage):
                        self._count(piece)
                    yield piece
            outcome = "ok"
        except RagError as error:
            outcome = error.code
            raise
        finally:
            self._meters.model_calls.labels(outcome).inc()

    def _count(self, usage: Usage) -> None:
        self._meters.model_tokens.labels("prompt").inc(usage.prompt_tokens)
        self._meters.model_tokens.labels("completion").inc(usage.completion_tokens)

    async def close(self) -> None:
        """Let connections go."""
        await self._model.close()
