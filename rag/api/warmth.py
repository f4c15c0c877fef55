"""The embedding engine, loaded while the service starts."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rag.errors import RagError, UnavailableError
from rag.ports import Embedder

_LOG = logging.getLogger("rag.api")


class WarmEmbedder:
    """Loads in a thread of its own; until then asking raises UnavailableError (`not_ready`)."""

    def __init__(self, load: Callable[[], Embedder]) -> None:
        self._load = load
        self._embedder: Embedder | None = None
        self._error: RagError | None = None

    def start(self) -> None:
        """Begin to load; returns at once."""
        threading.Thread(target=self._warm, name="warm-embedder", daemon=True).start()

    def _warm(self) -> None:
        try:
            embedder = self._load()
            embedder.embed_query("warm")
            self._embedder = embedder
        except RagError as error:
            _LOG.exception("embedder_failed")
            self._error = error

    @property
    def is_warm(self) -> bool:
        return self._embedder is not None

    @property
    def error_code(self) -> str | None:
        return self._error.code if self._error else None

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """The unit vector of a question."""
        return self._ready().embed_query(text)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The unit vectors of passages."""
        return self._ready().embed(texts)

    def _ready(self) -> Embedder:
        if self._embedder is None:
            raise UnavailableError(
                "The embedding model is not loaded yet: try again in a few seconds.",
                code="not_ready",
            )
        return self._embedder
