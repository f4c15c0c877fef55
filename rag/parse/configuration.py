"""The parsing room's own configuration, as the platform's settings say it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rag.errors import ConfigurationError
from rag.parse.captions import CaptionConfig, VisionModel
from rag.parse.limits import ParseLimits
from rag.parse.ocr import OcrConfig
from rag.parse.pool import DoclingParser
from rag.settings import Settings


def parse_limits(settings: Settings) -> ParseLimits:
    """What one file may cost."""
    return ParseLimits(
        wall_s=settings.parse_wall_s,
        memory_bytes=settings.parse_memory_bytes,
        file_bytes=settings.max_file_bytes,
        pages=settings.max_pages,
        allow_macros=settings.allow_macros,
    )


def caption_config(settings: Settings) -> CaptionConfig | None:
    """The vision model that describes pictures, None when none is named. Raises
    ConfigurationError (`caption_model_not_named`)."""
    if settings.caption_base_url is None:
        return None
    if settings.caption_model is None:
        raise ConfigurationError(
            "RAG_CAPTION_BASE_URL is set and RAG_CAPTION_MODEL is not: name the vision model.",
            code="caption_model_not_named",
        )
    key = settings.caption_api_key
    return CaptionConfig(
        base_url=settings.caption_base_url,
        model=settings.caption_model,
        api_key="none" if key is None else key.get_secret_value(),
        timeout_s=settings.caption_timeout_s,
        most=settings.caption_most,
        min_side=settings.caption_min_side,
    )


def ocr_config(settings: Settings) -> OcrConfig:
    """Whether and how pixels are read."""
    return OcrConfig(settings.ocr, tuple(settings.ocr_languages.split("+")))


@dataclass(frozen=True, slots=True)
class ParserParts:
    """What a parser is made of, on whatever machine."""

    limits: ParseLimits
    layout_models: Path | None
    ocr: OcrConfig
    captions: CaptionConfig | None

    def open(self, workers: int) -> DoclingParser:
        """The parser; nothing is started before its first file. 0 workers: one per core."""
        return DoclingParser(
            self.limits,
            workers or None,
            artifacts_path=self.layout_models,
            ocr=self.ocr,
            captioner=VisionModel(self.captions) if self.captions else None,
        )


def parser_parts(settings: Settings) -> ParserParts:
    """What the settings make of it. Raises ConfigurationError (`caption_model_not_named`)."""
    return ParserParts(
        parse_limits(settings),
        settings.layout_models,
        ocr_config(settings),
        caption_config(settings),
    )
