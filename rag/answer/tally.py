"""A language model whose calls are added up, however they end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from rag.errors import RagError
from rag.ports import LanguageModel, Message, Usage


class TalliedModel:
    """A `LanguageModel` that is another one. `usage` is that of its calls: estimated where one was
    left before its end, nothing where one was refused before its first word."""

    def __init__(self, model: LanguageModel) -> None:
        self.name = model.name
        self.usage = Usage()
        self.was_asked = False
        self._model = model

    async def reply(self, messages: Sequence[Message]) -> AsyncGenerator[str | Usage]:
        """The pieces of the reply as they come, then its usage."""
        self.was_asked = True
        counted: Usage | None = None
        said = 0
        try:
            async with aclosing(self._model.reply(messages)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Usage):
                        counted = piece
                    else:
                        said += len(piece)
                    yield piece
        except RagError:
            counted = counted if said else Usage()
            raise
        finally:
            sent = sum(len(each.content) for each in messages)
            self.usage += Usage.estimated(sent, said) if counted is None else counted

    async def close(self) -> None:
        """Let connections go."""
        await self._model.close()
