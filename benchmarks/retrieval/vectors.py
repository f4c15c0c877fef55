"""Vectors of texts under the platform's default model, kept in a folder between runs."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.embed.engine import EmbeddingEngine, Precision, open_embedder
from rag.fingerprint import fingerprint
from rag.settings import Settings


def cache_folder() -> Path:
    """RAG_BENCH_CACHE, or a folder for temporary files."""
    default = Path(tempfile.gettempdir()) / "rag-bench-vectors"
    folder = Path(os.environ.get("RAG_BENCH_CACHE", default))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def engine(precision: Precision | None = None) -> EmbeddingEngine:
    """The engine as the service has it, or with another precision."""
    settings = Settings()
    return open_embedder(
        settings.embedding_model,
        precision or settings.embedding_precision,
        cache=cache_folder() / "models",
    )


def embedded(texts: Sequence[str], embedder: EmbeddingEngine) -> NDArray[np.float32]:
    """One unit vector per text; those known from an earlier run are read."""
    digest = hashlib.sha256("\0".join(texts).encode("utf-8", "replace")).hexdigest()[:24]
    folder = cache_folder() / fingerprint("model", embedder.config)
    folder.mkdir(exist_ok=True)
    path = folder / f"{digest}.npy"
    if path.exists():
        known: NDArray[np.float32] = np.load(path)
        return known
    made = embedder.embed(texts)
    np.save(path, made.astype(np.float32))
    return made
