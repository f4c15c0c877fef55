"""Which parser and which embedder the setting `executor` chooses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rag.parse.configuration import ParserParts
from rag.scale.cluster import Cluster
from rag.settings import Settings

if TYPE_CHECKING:
    from rag.embed.engine import Precision
    from rag.parse.pool import DoclingParser
    from rag.ports import Embedder
    from rag.scale.parser import RayParser


def cluster_of(settings: Settings) -> Cluster | None:
    """The cluster that the settings name, None when the work stays on this machine."""
    if settings.executor == "local":
        return None
    return Cluster(settings.ray_address, settings.parse_workers)


def open_parser(
    parts: ParserParts, workers: int, cluster: Cluster | None
) -> DoclingParser | RayParser:
    """The parser in force, to be closed by the caller; `workers` are processes of this machine (0:
    one per core). Nothing is started or joined before the first file."""
    if cluster is None:
        return parts.open(workers)
    from rag.scale.parser import RayParser

    return RayParser(cluster, parts, workers)


def open_document_embedder(
    model: str, precision: Precision, cache: Path, cluster: Cluster | None
) -> Embedder:
    """The embedder in force for documents; for questions alone the engine itself does."""
    if cluster is None:
        from rag.embed.engine import open_embedder

        return open_embedder(model, precision, cache)
    from rag.scale.embedder import RayEmbedder

    return RayEmbedder(cluster, model, precision, cache)
