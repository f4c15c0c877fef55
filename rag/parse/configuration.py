"""The parsing room's own configuration, as the platform's settings say it."""

from __future__ import annotations

from rag.parse.limits import ParseLimits
from rag.parse.ocr import OcrConfig
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


def ocr_config(settings: Settings) -> OcrConfig:
    """Whether and how pixels are read."""
    return OcrConfig(settings.ocr, tuple(settings.ocr_languages.split("+")))
