"""An embedder that costs nothing: hashed bags of words."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rag.errors import RagError

_WORD = re.compile(r"\w+")


@dataclass
class FakeEmbedder:
    """Texts that share words are near. `embedded` counts texts; `error` is raised when set."""

    dimension: int = 384
    config: dict[str, object] = field(
        default_factory=lambda: {"model": "fake", "dimension": 384, "max_tokens": 256}
    )
    embedded: int = 0
    error: RagError | None = None

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if self.error is not None:
            raise self.error
        self.embedded += len(texts)
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            vectors[row, 0] = 0.01
            for word in _WORD.findall(text.lower()):
                vectors[row, zlib.crc32(word.encode()) % self.dimension] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-9)
