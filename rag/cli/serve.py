"""rag serve: the web page and HTTP service in the foreground, until Ctrl-C."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from rag.cli.boundary import Exit
from rag.cli.terminal import AsJson, note, say, write_json

if TYPE_CHECKING:
    from rag.api.service import Service
    from rag.cli.backend import Backend
    from rag.settings import Settings


def serve(as_json: AsJson = False) -> None:
    """Serve the web page, searches and uploads over HTTP, by default on 127.0.0.1:7860. The
    servers are those of `rag up` when it runs, else started for the time. Ctrl-C lets requests in
    progress end."""
    from rag.api.server import serve as run
    from rag.cli.backend import open_backend, served
    from rag.settings import load_settings
    from rag.stack.loopback import required_port

    port = required_port(load_settings().api_port, "RAG_API_PORT")
    with open_backend() as backend, served(backend, ["s3://"]) as complete:
        settings = complete.settings.model_copy(update={"api_port": port})
        service = _service(complete, settings)
        _announce(complete, settings, as_json=as_json)
        is_well = run(service)
    raise typer.Exit(Exit.OK if is_well else Exit.ERROR)


def _announce(backend: Backend, settings: Settings, *, as_json: bool) -> None:
    from rag.store import access

    url = f"http://{settings.api_host}:{settings.api_port}"
    is_guarded = access.is_guarded(backend.conn)
    if as_json:
        write_json({"url": url, "needs_key": is_guarded})
        return
    say(f"  Web page     {url}")
    say(f"  HTTP API     {url}/docs")
    if not is_guarded:
        note("No API key exists: whoever is on this machine may do everything, nobody else gets "
             "in. `rag key create NS` makes one.")  # fmt: skip


def _service(backend: Backend, settings: Settings) -> Service:
    from rag.api.bucket import Bucket
    from rag.api.pages import PageImages
    from rag.api.pool import Database
    from rag.api.service import Service
    from rag.api.warmth import WarmEmbedder
    from rag.cli.backend import load_embedder
    from rag.cli.object_store import client
    from rag.rerank import open_reranker

    return Service(
        settings=settings,
        database=Database(backend.endpoints.database_url, settings),
        embedder=WarmEmbedder(lambda: load_embedder(settings)),
        bucket=Bucket(settings.api_upload_bucket, lambda: client(backend)),
        pages=PageImages(backend.open_source),
        model_name=settings.embedding_model,
        reranker=open_reranker(settings.reranker_model),
        load=load_embedder,
    )
