"""Which code and settings make each asset, cheaply: Dagster marks as outdated what another made.

The exact fingerprints are in the store; these need no model and no parser to be loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rag.fingerprint import fingerprint

if TYPE_CHECKING:
    from rag.settings import Settings

# raise one when a stage's code would give another result for the same input and settings
_REGISTER, _PUBLISH = 1, 1


def code_versions(settings: Settings) -> Mapping[str, str]:
    """The code version of each asset by its key."""
    return {
        "raw_documents": f"register-{_REGISTER}",
        "parsed_documents": fingerprint("parser", _parser(settings)),
        "chunks": fingerprint("chunker", _chunker(settings)),
        "embeddings": fingerprint("model", _model(settings)),
        "search_index": f"publish-{_PUBLISH}",
    }


def _parser(settings: Settings) -> dict[str, object]:
    from rag.parse.cleaning import CleaningConfig
    from rag.parse.configuration import caption_config, ocr_config, parse_limits
    from rag.parse.pool import parser_config

    captions = caption_config(settings)
    return parser_config(
        parse_limits(settings),
        CleaningConfig(),
        settings.layout_models,
        ocr_config(settings),
        captions.identity() if captions else None,
    )


def _chunker(settings: Settings) -> dict[str, object]:
    from rag.chunking.chunker import CHUNKER_VERSION

    return {
        "version": CHUNKER_VERSION,
        "strategy": settings.chunk_strategy,
        "size": settings.chunk_size,
        "overlap": settings.chunk_overlap,
        "prefix": settings.chunk_prefix,
        "model": settings.embedding_model,  # its tokenizer measures the chunks
    }


def _model(settings: Settings) -> dict[str, object]:
    return {"model": settings.embedding_model, "precision": settings.embedding_precision}
