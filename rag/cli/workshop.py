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
    from rag.parse.captions import VisionModel
    from rag.parse.configuration import caption_config, ocr_config, parse_limits
    from rag.parse.pool import DoclingParser
    from rag.store import collections

    settings = backend.settings
    captions = caption_config(settings)
    parser = DoclingParser(
        parse_limits(settings), settings.parse_workers or None,
        artifacts_path=settings.layout_models, ocr=ocr_config(settings),
        captioner=VisionModel(captions) if captions else None,
    )  # fmt: skip
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

    tokenizer = ModelTokenizer(find_model(settings.embedding_model))
    return Engines(tokenizer, load_embedder(settings))


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
