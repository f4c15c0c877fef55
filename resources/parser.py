"""The parser of a run: one per process, its children started by the first file."""

from __future__ import annotations

import atexit
from functools import cache
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

if TYPE_CHECKING:
    from pathlib import Path

    from rag.parse.captions import CaptionConfig
    from rag.parse.limits import ParseLimits
    from rag.parse.ocr import OcrConfig
    from rag.ports import Parser


class ParserResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Docling in confined child processes. Limits come from the settings `parse_*` and `max_*`."""

    workers: int = Field(
        default=0, ge=0, description="Parser processes at a time. 0: the setting `parse_workers`."
    )

    def parser(self) -> Parser:
        """The process's parser; asking for it starts nothing."""
        from rag.parse.configuration import caption_config, ocr_config, parse_limits
        from rag.settings import load_settings

        settings = load_settings()
        return _parser(
            parse_limits(settings),
            self.workers or settings.parse_workers,
            settings.layout_models,
            ocr_config(settings),
            caption_config(settings),
        )


@cache
def _parser(
    limits: ParseLimits,
    workers: int,
    layout_models: Path | None,
    ocr: OcrConfig,
    captions: CaptionConfig | None,
) -> Parser:
    from rag.parse.captions import VisionModel
    from rag.parse.pool import DoclingParser

    captioner = VisionModel(captions) if captions else None
    parser = DoclingParser(
        limits, workers or None, artifacts_path=layout_models, ocr=ocr, captioner=captioner
    )
    atexit.register(parser.close)
    return parser
