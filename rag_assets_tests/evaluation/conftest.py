"""The changing collection, and a lab to ask it in."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field

import pytest

from rag.evaluation.experiment import Lab
from rag.ports import Message, Usage
from rag_assets_tests.generations.conftest import Changing, changing

__all__ = ["changing", "lab"]


@dataclass
class Speaker:
    """A language model that says what `say` makes of the last message."""

    say: Callable[[str], str]
    name: str = "speaker"
    asked: list[str] = field(default_factory=list)
    closed: int = 0

    async def reply(self, messages: Sequence[Message]) -> AsyncGenerator[str | Usage]:
        self.asked.append(messages[-1].content)
        yield self.say(messages[-1].content)
        yield Usage(1, 1)

    async def close(self) -> None:
        self.closed += 1


@pytest.fixture
def lab(changing: Changing) -> Lab:
    return Lab(changing.conn, changing.shop().settings, changing.embedders())
