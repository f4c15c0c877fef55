"""A workshop and a lab on the servers in force, for commands that work without Dagster."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rag.cli.backend import Backend, load_embedder, served

if TYPE_CHECKING:
    from rag.evaluation.experiment import Lab
    from rag.ingest.workshop import Engines, Workshop
    from rag.settings import Settings
    from rag.store.collections import Collection

Progress = Callable[[str, int, int], None]


@contextmanager
def open_workshop(
    backend: Backend, found: Collection, progress: Progress | None = None
) -> Iterator[Workshop]:
    """The tools of a build of this collection; parser processes end with the block."""
    from rag.ingest.spool import Spool
    from rag.ingest.workshop import Workshop, no_progress
    from rag.parse.configuration import parser_parts
    from rag.scale.executor import cluster_of, open_parser
    from rag.store import collections

    settings = backend.settings
    parser = open_parser(parser_parts(settings), settings.parse_workers, cluster_of(settings))
    uris = [row["uri"] for row in collections.list_sources(backend.conn, found)]
    engines = open_engines(settings)
    try:
        with served(backend, uris) as complete:
            yield Workshop(
                conn=backend.conn, database_url=backend.endpoints.database_url, settings=settings,
                spool=Spool(settings.home / "spool"), open_source=complete.open_source,
                parser=parser, tokenizer=engines.tokenizer, embedder=engines.embedder,
                run_id=f"index-{uuid.uuid4().hex[:12]}", progress=progress or no_progress,
                open_engines=open_engines,
            )  # fmt: skip
    finally:
        parser.close()


def open_engines(settings: Settings) -> Engines:
    """The tokenizer and embedder that these settings name."""
    from rag.embed.pretrained import find_model
    from rag.embed.tokenizer import ModelTokenizer
    from rag.ingest.workshop import Engines
    from rag.scale.executor import cluster_of, open_document_embedder

    model, precision = settings.embedding_model, settings.embedding_precision
    folder = settings.home / "models"
    embedder = open_document_embedder(model, precision, folder, cluster_of(settings))
    return Engines(ModelTokenizer(find_model(model)), embedder)


def open_lab(backend: Backend) -> Lab:
    """What experiments work with: every generation is asked by its own model; the language model
    of the settings writes answers and judges them."""
    from rag.asking import Embedders
    from rag.evaluation.experiment import Lab
    from rag.llm import open_model

    settings = backend.settings
    return Lab(
        backend.conn, settings, Embedders(settings, load_embedder),
        writer=open_model(settings), judge=open_model(settings),
    )  # fmt: skip
