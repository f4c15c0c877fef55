"""The reranker: a sentence-transformers cross-encoder behind the port."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rag.errors import ConfigurationError, UnavailableError

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

_BATCH = 16
# what loading and inference raise on a model that is not there, damaged, or of another kind
_BROKEN = (ImportError, OSError, RuntimeError, ValueError, KeyError, TypeError, IndexError)


class CrossEncoderReranker:
    """Loads with the first question; one question is read at a time."""

    def __init__(self, model: str) -> None:
        self.name = model
        self._model: CrossEncoder | None = None
        self._lock = threading.Lock()

    def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        """A score per text, higher is better. Raises ConfigurationError (`bad_reranker`) when the
        model can not be loaded, UnavailableError (`reranker_failed`) when it fails or its scores
        are no numbers."""
        if not texts:
            return []
        with self._lock:
            model = self._loaded()
            try:
                found = model.predict(
                    [(query, text) for text in texts], batch_size=_BATCH, show_progress_bar=False
                )
                scores = [float(score) for score in found]
            except _BROKEN as error:
                raise UnavailableError(
                    f"The reranker {self.name} failed ({type(error).__name__}): try again, or "
                    "unset RAG_RERANKER_MODEL.",
                    code="reranker_failed",
                ) from error
        if len(scores) != len(texts) or not all(map(math.isfinite, scores)):
            raise UnavailableError(
                f"The reranker {self.name} gave no usable scores: unset RAG_RERANKER_MODEL, or set "
                "another model.",
                code="reranker_failed",
            )
        return scores

    def _loaded(self) -> CrossEncoder:
        if self._model is None:
            try:
                from sentence_transformers import CrossEncoder

                model = CrossEncoder(self.name, num_labels=1, local_files_only=_is_local(self.name))
            except _BROKEN as error:
                raise ConfigurationError(
                    f"RAG_RERANKER_MODEL '{self.name}' can not be loaded as a cross-encoder "
                    f"({type(error).__name__}): name a folder or a model of the hub.",
                    code="bad_reranker",
                ) from error
            self._model = model
        return self._model


def open_reranker(model: str | None) -> CrossEncoderReranker | None:
    """The reranker of the settings; none, when none is named. Nothing is loaded yet."""
    return None if model is None else CrossEncoderReranker(model)


def _is_local(model: str) -> bool:
    from pathlib import Path

    return Path(model).is_dir()
