"""The parser of a run: one per process, its children started by the first file."""

from __future__ import annotations

import atexit
from functools import cache
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

if TYPE_CHECKING:
    from rag.parse.limits import ParseLimits
    from rag.ports import Parser


class ParserResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Docling in confined child processes. Limits come from the settings `parse_*` and `max_*`."""

    workers: int = Field(
        default=0, ge=0, description="Parser processes at a time. 0: the setting `parse_workers`."
    )

    def parser(self) -> Parser:
        """The process's parser; asking for it starts nothing."""
        from rag.parse.limits import ParseLimits
        from rag.settings import load_settings

        settings = load_settings()
        limits = ParseLimits(
            wall_s=settings.parse_wall_s,
            memory_bytes=settings.parse_memory_bytes,
            file_bytes=settings.max_file_bytes,
            pages=settings.max_pages,
        )
        return _parser(limits, self.workers or settings.parse_workers)


@cache
def _parser(limits: ParseLimits, workers: int) -> Parser:
    from rag.parse.pool import DoclingParser

    parser = DoclingParser(limits, workers or None)
    atexit.register(parser.close)
    return parser
