"""The embedding model of a run: one per process, loaded by the first text."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

if TYPE_CHECKING:
    from rag.embed.engine import Precision
    from rag.ingest.workshop import Engines
    from rag.ports import Embedder, Tokenizer
    from rag.scale.cluster import Cluster
    from rag.settings import Settings


class EmbedderResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """A sentence-transformers model and its tokenizer, in the precision and on the machines that
    the settings `embedding_precision` and `executor` name."""

    model: str = Field(
        default="", description="Name or folder of the model. Empty: the setting `embedding_model`."
    )

    def embedder(self) -> Embedder:
        """The process's embedder."""
        from rag.settings import load_settings

        settings = load_settings()
        return _opened(settings, self._name(settings))

    def tokenizer(self) -> Tokenizer:
        """How the model sees text."""
        from rag.settings import load_settings

        return _tokenizer(self._name(load_settings()))

    def engines(self, settings: Settings) -> Engines:
        """The tokenizer and embedder of other settings than those in force."""
        from rag.ingest.workshop import Engines

        model = settings.embedding_model
        return Engines(_tokenizer(model), _opened(settings, model))

    def _name(self, settings: Settings) -> str:
        return self.model or settings.embedding_model


def _opened(settings: Settings, model: str) -> Embedder:
    from rag.scale.executor import cluster_of

    precision, folder = settings.embedding_precision, settings.home / "models"
    return _embedder(model, precision, folder, cluster_of(settings))


@cache
def _embedder(
    model: str, precision: Precision, cache_folder: Path, cluster: Cluster | None
) -> Embedder:
    from rag.scale.executor import open_document_embedder

    return open_document_embedder(model, precision, cache_folder, cluster)


@cache
def _tokenizer(model: str) -> Tokenizer:
    from rag.embed.pretrained import find_model
    from rag.embed.tokenizer import ModelTokenizer

    return ModelTokenizer(find_model(model))
