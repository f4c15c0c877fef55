"""A language model whose calls are added up, however they end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from rag.errors import RagError
from rag.ports import LanguageModel, Message, Usage

# how a call with its repeats ended (`ok`, `cancelled` or an error's code), and what it took
CallEnded = Callable[[str, Usage], None]


class TalliedModel:
    """A `LanguageModel` that is another one. `usage` is that of its calls: estimated where one was
    left before its end, nothing where one was refused before its first word."""

    def __init__(self, model: LanguageModel, ended: CallEnded | None = None) -> None:
        self.name = model.name
        self.usage = Usage()
        self.was_asked = False
        self._model, self._ended = model, ended

    async def reply(self, messages: Sequence[Message]) -> AsyncGenerator[str | Usage]:
        """The pieces of the reply as they come, then its usage."""
        self.was_asked = True
        outcome = "cancelled"
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
            outcome = "ok"
        except RagError as error:
            outcome = error.code
            counted = counted if said else Usage()
            raise
        finally:
            sent = sum(len(each.content) for each in messages)
            usage = Usage.estimated(sent, said) if counted is None else counted
            self.usage += usage
            if self._ended is not None:
                self._ended(outcome, usage)

    async def close(self) -> None:
        """Let connections go."""
        await self._model.close()
