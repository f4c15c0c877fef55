"""A free embedder: hashed bags of words. Equal texts are equal, texts that share words are near."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rag.errors import RagError

# small enough for a core's cache
_SLICE = 256
_SEPARATORS = [code for code in range(128) if not chr(code).isalnum()]
# what every text shares, so that a text without words has a vector, too
_COMMON = 0.1


def _byte_codes() -> NDArray[np.uint32]:
    codes = (np.arange(1, 257, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(33)
    odd = codes.astype(np.uint32) | np.uint32(1)
    odd[_SEPARATORS] = 0
    return odd


class FakeEmbedder:
    """An `Embedder` at no cost; `texts_embedded` and `calls` count what it was asked for;
    `error` is raised when set."""

    def __init__(self, dimension: int = 384, name: str = "fake-bag-of-words") -> None:
        self.dimension = dimension
        self.config: dict[str, object] = {
            "model": name,
            "weights": "0" * 16,
            "dimension": dimension,
            "pooling": "sum",
            "max_tokens": 256,
            "precision": "fp32",
        }
        self.texts_embedded = 0
        self.calls = 0
        self.error: RagError | None = None
        self._codes = _byte_codes()

    def prepare(self) -> None:
        """It is always ready."""

    def embed(
        self, texts: Sequence[str], on_batch: Callable[[int, int], None] | None = None
    ) -> NDArray[np.float32]:
        """Unit vectors, shape (len(texts), dimension), in the order of `texts`."""
        if self.error is not None:
            raise self.error
        self.calls += 1
        self.texts_embedded += len(texts)
        found = np.empty((len(texts), self.dimension), np.float32)
        for start in range(0, len(texts), _SLICE):
            found[start : start + _SLICE] = self._bags(texts[start : start + _SLICE])
            if on_batch is not None:
                on_batch(min(start + _SLICE, len(texts)), len(texts))
        return found

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """The unit vector of a search text, shape (dimension,)."""
        found: NDArray[np.float32] = self.embed([text])[0]
        return found

    def _bags(self, texts: Sequence[str]) -> NDArray[np.float32]:
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        ends = np.cumsum([len(data) + 1 for data in encoded])
        codes = self._codes[np.frombuffer(b" ".join(encoded).lower() + b" ", np.uint8)]
        hashes, starts = _words(codes)
        rows = np.searchsorted(ends, starts, side="right")
        signs = np.where(hashes & np.uint32(1), 1.0, -1.0)
        cells = rows * self.dimension + (hashes >> np.uint32(8)) % self.dimension
        sums = np.bincount(cells, signs, len(texts) * self.dimension)
        bags: NDArray[np.float32] = sums.astype(np.float32).reshape(len(texts), self.dimension)
        bags[:, 0] += _COMMON
        return _unit(bags)


def _words(codes: NDArray[np.uint32]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """The hash and the start of each word. Separators are 0, so sums and products end at them."""
    is_word = codes > 0
    starts = np.flatnonzero(is_word & ~np.concatenate(([False], is_word[:-1])))
    if not len(starts):
        return np.empty(0, np.uint32), starts
    neighbours = codes[:-1] * (
        codes[1:] >> np.uint32(3)
    )  # makes the hash depend on the order of letters
    mixed = codes.copy()
    mixed[:-1] += neighbours ^ (neighbours >> np.uint32(15))
    sums = np.cumsum(mixed, dtype=np.uint32)  # wraps around, and so do the differences
    hashes = np.diff(sums[starts[1:] - 1], prepend=np.uint32(0), append=sums[-1])
    return (hashes ^ (hashes >> np.uint32(16))) * np.uint32(0x7FEB352D), starts


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    is_empty = lengths[:, 0] == 0  # signs may cancel out
    rows[is_empty, 0] = 1
    lengths[is_empty] = 1
    unit: NDArray[np.float32] = rows / lengths
    return unit
