"""What runs on the nodes of the cluster: the same parser pool and the same embedding engine as on
one machine. Nothing here talks to the database or the object store."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from rag.errors import RagError
from rag.fingerprint import fingerprint
from rag.parse.configuration import ParserParts
from rag.ports import FileLimits, ParseJob, ParseOutcome
from rag.scale.cluster import differs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rag.embed.engine import EmbeddingEngine, Precision
    from rag.parse.pool import DoclingParser


def parse_file(
    parts: ParserParts, expected: str, name: str, data: bytes, limits: FileLimits | None
) -> ParseOutcome | RagError:
    """The outcome of one file under key 0, or the error for a node where parsing does not work.
    Never raises a RagError: Ray would wrap it."""
    try:
        pool = _pool(parts, expected)
        with tempfile.TemporaryDirectory(prefix="rag-ray-") as folder:
            path = Path(folder) / "file"
            path.write_bytes(data)
            (outcome,) = pool.parse([ParseJob(0, path, name, (), limits)])
    except RagError as error:
        return error
    return outcome


@cache
def _pool(parts: ParserParts, expected: str) -> DoclingParser:
    """The pool of this process, with one child that stays warm between files."""
    pool = _with_own_key(parts).open(workers=1)
    if fingerprint("parser", pool.config) != expected:
        raise differs("parser")
    return pool


def _with_own_key(parts: ParserParts) -> ParserParts:
    """The caption endpoint's key is the node's own setting: it never travels."""
    if parts.captions is None:
        return parts
    from rag.settings import load_settings

    key = load_settings().caption_api_key
    own = "none" if key is None else key.get_secret_value()
    return replace(parts, captions=replace(parts.captions, api_key=own))


class EmbeddingWorker:
    """The embedding engine of one node (or of one of its graphics cards)."""

    def __init__(self, model: str, precision: Precision, cache: Path, expected: str) -> None:
        self._asked, self._expected = (model, precision, cache), expected

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32] | RagError:
        """The vectors of `texts`, or the error of the engine."""
        try:
            return _engine(*self._asked, self._expected).embed(texts)
        except RagError as error:
            return error


@cache
def _engine(model: str, precision: Precision, folder: Path, expected: str) -> EmbeddingEngine:
    from rag.embed.engine import open_embedder

    engine = open_embedder(model, precision, folder)
    if fingerprint("model", engine.config) != expected:
        raise differs("embedding model")
    return engine
