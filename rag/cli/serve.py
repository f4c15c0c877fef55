"""rag serve: the HTTP service in the foreground, until Ctrl-C."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from rag.cli.boundary import Exit
from rag.cli.terminal import AsJson, note, say, write_json

if TYPE_CHECKING:
    from rag.api.options import ApiSettings
    from rag.api.service import Service
    from rag.cli.backend import Backend


def serve(as_json: AsJson = False) -> None:
    """Answer searches and uploads over HTTP, by default on 127.0.0.1:7860. The servers are those
    of `rag up` when it runs, else started for the time. Ctrl-C lets requests in progress end."""
    from rag.api.options import load_api_settings
    from rag.api.server import serve as run
    from rag.cli.backend import open_backend, served
    from rag.stack.loopback import required_port

    options = load_api_settings()
    port = required_port(options.port, "RAG_API_PORT")
    options = options.model_copy(update={"port": port})
    with open_backend() as backend, served(backend, ["s3://"]) as complete:
        service = _service(complete, options)
        _announce(complete, options, as_json=as_json)
        is_well = run(service)
    raise typer.Exit(Exit.OK if is_well else Exit.ERROR)


def _announce(backend: Backend, options: ApiSettings, *, as_json: bool) -> None:
    from rag.store import access

    url = f"http://{options.host}:{options.port}"
    is_guarded = access.is_guarded(backend.conn)
    if as_json:
        write_json({"url": url, "needs_key": is_guarded})
        return
    say(f"  HTTP API     {url} (operations: {url}/docs)")
    if not is_guarded:
        note("No API key exists: whoever is on this machine may do everything, nobody else gets "
             "in. `rag key create NS` makes one.")  # fmt: skip


def _service(backend: Backend, options: ApiSettings) -> Service:
    from rag.api.bucket import Bucket
    from rag.api.pool import Database
    from rag.api.service import Service
    from rag.api.warmth import WarmEmbedder
    from rag.cli.backend import load_embedder
    from rag.cli.object_store import client

    settings = backend.settings
    return Service(
        options=options,
        database=Database(backend.endpoints.database_url, options),
        embedder=WarmEmbedder(lambda: load_embedder(settings)),
        bucket=Bucket(options.upload_bucket, lambda: client(backend)),
        model_name=settings.embedding_model,
    )
