"""Texts are tokenised while those before are computed."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from rag.embed import engine
from rag.embed.engine import Batch


class Watched:
    """An encoder that says when its second window is done."""

    padding, window = 0, 64

    def __init__(self) -> None:
        self.calls = 0
        self.has_second = threading.Event()

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        self.calls += 1
        if self.calls == 2:
            self.has_second.set()
        return [[1, 2] for _ in texts]


class Slow:
    """A runtime that has computed nothing before the second window is tokenised."""

    name, arithmetic = "slow", "f32"

    def __init__(self, encoder: Watched) -> None:
        self._encoder = encoder

    def run(self, batches: Iterable[Batch]) -> Iterator[NDArray[np.float32]]:
        for ids, _ in batches:
            assert self._encoder.has_second.wait(10), "tokenising waits for the computation"
            yield np.ones((len(ids), 4), np.float32)


def test_the_next_window_is_tokenised_while_this_one_is_computed() -> None:
    texts = [f"text {number}" for number in range(engine._WINDOW + 1)]
    encoder = Watched()
    found = list(engine._computed(Slow(encoder), encoder, texts))  # type: ignore[arg-type]
    assert sum(len(places) for places, _ in found) == len(texts)
    assert encoder.calls == 2
