"""The application: every route with what it asks of its callers, one handler for errors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from anyio import to_thread
from fastapi import FastAPI, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, Response
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.exceptions import HTTPException

from rag.api import (
    answers,
    ask,
    chat,
    collections,
    described,
    documents,
    files,
    health,
    mcp,
    page_routes,
    providers,
    shapes,
    system,
    topics,
    upload,
)
from rag.api import shapes_of_files as of_files
from rag.api import shapes_of_state as of_state
from rag.api.faults import Fault, fault_of
from rag.api.gate import Gate
from rag.api.needs import Needs
from rag.api.principal import Need
from rag.api.service import Service
from rag.errors import RagError

_DOCS = ("/openapi.json",)


class Route(NamedTuple):
    """One operation of the API and its policy."""

    method: str
    path: str
    endpoint: Callable[..., Any]
    need: Need
    answer: Any = None  # its model; what has none is not JSON
    form: type[topics.Keyed] | None = None  # of the body, where the endpoint reads it by hand


ROUTES = (
    Route("GET", "/health", health.health, Need.PUBLIC, shapes.Health),
    Route("GET", "/livez", health.livez, Need.PUBLIC, shapes.Alive),
    Route("GET", "/readyz", health.readyz, Need.PUBLIC, shapes.Ready),
    Route("GET", "/metrics", health.metrics, Need.OPERATOR),
    Route("POST", "/query", ask.query, Need.READ, ask.Answer),
    Route("POST", "/feedback", ask.feedback, Need.READ, ask.Thanks),
    Route("POST", "/rag", answers.rag, Need.READ, shapes.CitedAnswer),
    Route("POST", "/v1/chat/completions", chat.chat_completions, Need.READ, shapes.ChatCompletion),
    Route("GET", "/v1/models", chat.models, Need.READ, shapes.ServedModels),
    Route("POST", "/v1/embeddings", ask.embeddings, Need.READ, shapes.Vectors),
    Route("POST", "/api/topic", topics.topic, Need.OPERATOR, of_files.TopicDone, form=topics.Topic),
    Route(
        "POST",
        "/api/segment",
        topics.segment,
        Need.WRITE,
        of_files.SegmentDone,
        form=topics.Segment,
    ),
    Route(
        "POST",
        "/api/collect",
        topics.collect,
        Need.WRITE,
        of_files.Collecting | list[of_files.Collecting],
        form=topics.Collect,
    ),
    Route(
        "POST",
        "/retrieve",
        topics.retrieve,
        Need.READ,
        of_files.Record | of_files.Nothing,
        form=topics.Retrieve,
    ),
    Route("POST", "/upload", upload.upload, Need.WRITE, of_files.JobStarted),
    Route("GET", "/upload/status", upload.upload_status, Need.READ, of_files.JobStatus),
    Route("GET", "/files", files.list_files, Need.READ, of_files.Files),
    Route("DELETE", "/files", files.delete_file, Need.WRITE, of_files.Deleted),
    Route("GET", "/files/chunks", files.chunks, Need.READ, of_files.Chunks),
    Route("GET", "/cards", files.cards, Need.READ, of_files.Cards),
    Route("GET", "/file-summary", files.file_summary, Need.READ, of_files.FileSummary),
    Route("GET", "/collections", collections.list_collections, Need.READ, of_state.Standings),
    Route("GET", "/documents", documents.list_documents, Need.READ, of_state.Documents),
    Route("POST", "/documents/retry", documents.retry, Need.WRITE, of_state.Due),
    Route(
        "GET",
        "/documents/{document_id}/passage",
        documents.passage,
        Need.READ,
        of_state.PlacedPassage,
    ),
    Route("GET", "/documents/{document_id}/pages/{page}.png", documents.page_image, Need.READ),
    Route("GET", "/system", system.system, Need.READ, of_state.System),
    *(Route(*each) for kind in providers.TABLE for each in providers.operations(kind)),
)


def build_app(service: Service) -> FastAPI:
    """The ASGI application over a service that it starts and stops."""
    app = FastAPI(
        title="rag-assets", version="1", docs_url=None, redoc_url=None,
        lifespan=_lifespan,
        description="Search, uploads and files of document collections.",
    )  # fmt: skip
    app.state.service = service
    app.state.desk = answers.open_desk(service)
    schemes = [Security(HTTPBearer(auto_error=False)),
               Security(APIKeyHeader(name="X-API-Key", auto_error=False))]  # fmt: skip
    for route in ROUTES:
        guard = [] if route.need is Need.PUBLIC else [_guard(route.need)]
        app.add_api_route(
            route.path, route.endpoint, methods=[route.method], dependencies=[*guard, *schemes]
            if guard else [], response_model=None,
            responses=described.responses(route.method, route.path, route.answer),
            response_class=Response if route.answer is None else JSONResponse,
            openapi_extra=None if route.form is None else topics.described(route.form),
        )  # fmt: skip
    app.router.routes.extend([*page_routes.routes(), mcp.route()])
    app.add_exception_handler(RagError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_error)
    app.add_exception_handler(HTTPException, _on_error)
    app.add_middleware(Gate, service=service, needs=Needs(_least_needs()))
    if service.settings.cors_origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=service.settings.cors_origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "X-API-Key", "Content-Type", "X-Request-ID"],
        )  # fmt: skip
    return app


def _least_needs() -> dict[str, Need]:
    """What a path asks at least, whatever the method: known before routing and before the body."""
    order = list(Need)
    needs = dict.fromkeys((*_DOCS, *page_routes.paths().values()), Need.PUBLIC)
    needs[mcp.PATH] = Need.READ
    for route in ROUTES:
        known = needs.get(route.path, route.need)
        needs[route.path] = min(known, route.need, key=order.index)
    return needs


def _guard(need: Need) -> Any:
    async def check(request: Request) -> None:
        request.state.principal.check(need)

    return Security(check)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    service: Service = app.state.service
    await to_thread.run_sync(service.start)
    try:
        yield
    finally:
        await app.state.desk.close()
        await to_thread.run_sync(service.stop)


async def _on_error(request: Request, error: Exception) -> JSONResponse:
    fault = _fault(getattr(request.state, "body_error", error))
    request.state.code = fault.code
    return JSONResponse(fault.body(request.state.request_id), fault.status, fault.headers())


def _fault(error: Exception) -> Fault:
    if isinstance(error, RagError):
        return fault_of(error)
    if isinstance(error, RequestValidationError):
        # the place and the rule, never what was sent
        wrong = [
            {"at": ".".join(map(str, each["loc"])), "rule": each["msg"]}
            for each in error.errors()[:10]
        ]
        message = f"The request is wrong at {wrong[0]['at']}: {wrong[0]['rule']}."
        return Fault(422, code="invalid_request", message=message, info={"errors": wrong})
    assert isinstance(error, HTTPException)
    codes = {404: "no_such_route", 405: "method_not_allowed"}
    code = codes.get(error.status_code, "bad_request")
    return Fault(error.status_code, code, str(error.detail), {})
