"""The free embedder that every contender uses: numpy only, the same bits in every environment.

A vector is the SHAKE-128 stream of model name and text, read as small integers and normalised.
"""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DIMENSION = 384


def vectors_of(texts: Sequence[str], model: str) -> NDArray[np.float32]:
    """Unit vectors, shape (len(texts), DIMENSION)."""
    salt = model.encode()
    stream = b"".join(hashlib.shake_128(salt + text.encode()).digest(DIMENSION) for text in texts)
    rows = np.frombuffer(stream, np.int8).reshape(len(texts), DIMENSION).astype(np.float32) + 0.5
    unit: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


class Counter:
    """A count of embedded chunks in shared memory: it survives the death of its process."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(8))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 8)
        self._path = path

    @property
    def value(self) -> int:
        """Chunks embedded so far."""
        (value,) = struct.unpack("<q", self._memory[:8])
        return int(value)

    def add(self, number: int) -> None:
        """Count `number` more chunks; processes take turns."""
        with self._path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self._memory[:8] = struct.pack("<q", self.value + number)


class Embedder:
    """Counts what it is asked for."""

    def __init__(self, model: str, counter: Path) -> None:
        self.model = model
        self._counter = Counter(counter)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, in the order of `texts`."""
        self._counter.add(len(texts))
        return vectors_of(texts, self.model)
