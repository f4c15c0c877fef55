"""The parser of a run: one per process, its children started by the first file."""

from __future__ import annotations

import atexit
from functools import cache
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

if TYPE_CHECKING:
    from rag.parse.configuration import ParserParts
    from rag.ports import Parser
    from rag.scale.cluster import Cluster


class ParserResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Docling in confined child processes, on this machine or on the cluster that the setting
    `executor` names. Limits come from the settings `parse_*` and `max_*`."""

    workers: int = Field(
        default=0, ge=0, description="Parser processes at a time. 0: the setting `parse_workers`."
    )

    def parser(self) -> Parser:
        """The process's parser; asking for it starts nothing."""
        from rag.parse.configuration import parser_parts
        from rag.scale.executor import cluster_of
        from rag.settings import load_settings

        settings = load_settings()
        workers = self.workers or settings.parse_workers
        return _parser(parser_parts(settings), workers, cluster_of(settings))


@cache
def _parser(parts: ParserParts, workers: int, cluster: Cluster | None) -> Parser:
    from rag.scale.executor import open_parser

    parser = open_parser(parts, workers, cluster)
    atexit.register(parser.close)
    return parser
