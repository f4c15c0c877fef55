"""A service that answers as the real one would, with nothing behind it: for how the page looks and
behaves, also in states that are hard to bring about."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from rag.api import page_routes
from rag.stack.loopback import free_port

NASTY = '<img src=x onerror="document.title=`owned`"><script>document.title="owned"</script>'
NOW = "2026-01-10T09:30:00Z"


def hit(number: int, **more: Any) -> dict[str, Any]:
    """A hit as /query and /rag give it."""
    return {
        "document_id": number, "document": f"bulletin-{number}.pdf", "score": 0.03, "ordinal": 3,
        "uri": f"s3://handbook/engineering/bulletin-{number}.pdf",
        "title": "Rope inspection bulletin EB-22", "page": 4,
        "heading": "Inspection > Monthly", "text": "The haul rope is inspected every 200 operating "
        "hours, and in any case once a month, by two people who sign the rope book.",
        "ranks": {"dense": number}, "content_hash": "00", **more,
    }  # fmt: skip


def document(number: int, state: str, **more: Any) -> dict[str, Any]:
    """A row of GET /documents."""
    is_live = state in ("live", "partial")
    return {
        "document_id": number, "document": f"bulletin-{number}.pdf",
        "uri": f"s3://handbook/engineering/bulletin-{number}.pdf",
        "title": f"Rope inspection bulletin EB-{number}", "state": state,
        "stage": "search_index" if is_live else "parse", "is_searchable": is_live,
        "failure": None, "media_type": "application/pdf", "pages": 4 if is_live else None,
        "chunks": 12 if is_live else None, "size_bytes": 20480, "modified_at": NOW,
        "published_at": NOW if is_live else None, **more,
    }  # fmt: skip


def collection(name: str, **more: Any) -> dict[str, Any]:
    """A row of GET /collections."""
    states = {"total": 14, "live": 11, "partial": 1, "pending": 1, "failed": 1}
    freshness = {"published_at": NOW, "looked_at": NOW, "oldest_pending_s": 12.0}
    return {
        "collection": name, "state": "behind", "documents": states, "chunks": 168, "failures": 1,
        "freshness": freshness, "deletions_held": 0, "live_generation": 3, **more,
    }  # fmt: skip


FAILURE = {
    "code": "encrypted_file", "kind": "policy", "attempts": 1,
    "reason": "The file needs a password: save it without one, or set a password for it.",
}  # fmt: skip
ANSWER = (
    "The haul rope is inspected every 200 operating hours, and in any case once a month [1]. Two "
    "people look at it, and both sign the rope book [2].\n\nBefore each inspection:\n\n"
    "- the line is closed and the drive is locked [1]\n- the last entry of the book is read aloud"
)


@dataclass
class StandIn:
    """What is answered, and what was asked."""

    collections: list[dict[str, Any]] = field(default_factory=list)
    documents: list[dict[str, Any]] = field(default_factory=list)
    hits: list[dict[str, Any]] = field(default_factory=list)
    next: int | None = None
    answer: str = ANSWER
    passage: dict[str, Any] = field(default_factory=dict)
    key: str = ""
    is_cut: bool = False
    delay_s: float = 0.0
    said: list[dict[str, Any]] = field(default_factory=list)
    uploads: list[str] = field(default_factory=list)
    url: str = ""

    def app(self) -> Starlette:
        """The routes that the page uses."""
        return Starlette(
            routes=[
                *page_routes.routes(),
                Route("/collections", self._guarded(lambda: {"collections": self.collections})),
                Route("/documents", self._guarded(self._documents)),
                Route("/documents/retry", self._retry, methods=["POST"]),
                Route("/documents/{document_id}/passage", self._guarded(lambda: self.passage)),
                Route("/documents/{document_id}/pages/{page}.png", _page),
                Route("/system", self._guarded(self._system)),
                Route("/upload", self._upload, methods=["POST"]),
                Route("/upload/status", self._guarded(_job)),
                Route("/rag", self._rag, methods=["POST"]),
                Route("/feedback", self._feedback, methods=["POST"]),
            ]
        )

    def _guarded(self, make: Any) -> Any:
        async def answer(request: Request) -> Response:
            if self.key and request.headers.get("authorization") != f"Bearer {self.key}":
                return _error(401, "unauthenticated", "A valid API key is needed.")
            return JSONResponse(make())

        return answer

    def _documents(self) -> dict[str, Any]:
        return {"documents": self.documents, "next": self.next}

    async def _retry(self, request: Request) -> Response:
        self.said.append(await request.json())
        return JSONResponse({"collection": "acme/handbook", "due": 1})

    async def _feedback(self, request: Request) -> Response:
        self.said.append(await request.json())
        return JSONResponse({"feedback_id": 1, "query_id": "q"})

    async def _upload(self, request: Request) -> Response:
        async with request.form() as form:
            file: Any = form["files"]
            name, is_replaced = file.filename, "replace_filenames" in form
        if name in self.uploads and not is_replaced:
            return _error(409, "file_exists", f"{name} exists already.")
        self.uploads.append(name)
        return JSONResponse({"job_id": "j", "status": "processing", "total_files": 1})

    async def _rag(self, request: Request) -> Response:
        self.said.append(await request.json())
        return StreamingResponse(self._events(), media_type="text/event-stream")

    async def _events(self) -> AsyncIterator[str]:
        opening = {"query_id": "q", "generation": 3, "as_of": NOW, "hits": self.hits}
        yield _event("passages", opening)
        for word in self.answer.split(" "):
            await asyncio.sleep(self.delay_s)
            yield _event("delta", {"text": word + " "})
        if self.is_cut:
            message = "The language model does not answer: try again in a moment."
            yield _event("error", {"code": "model_unavailable", "message": message, "info": {}})
            return
        citations = [{"number": number, **hit} for number, hit in enumerate(self.hits[:2], 1)]
        yield _event("done", {
            "query_id": "q", "answer": self.answer, "is_answered": bool(self.hits),
            "citations": citations, "dropped": [], "model": "llama3.2", "usage": {},
            "latency_ms": 1840.0, "generation": 3, "as_of": NOW,
        })  # fmt: skip

    def _system(self) -> dict[str, Any]:
        place = {"namespace": "acme", "collection": "handbook"}
        return {
            "collections": self.collections,
            "generations": [{**place, "id": 3, "state": "live", "documents": 12, "created_at": NOW,
                             "promoted_at": NOW, "parser": "p", "chunker": "c",
                             "model": "model-1f2e3d4c5b6a7980"}],
            "failures": [{**place, "stage": "parse", "kind": "policy", "code": "encrypted_file",
                          "documents": 1, "last_failed_at": NOW, "next_retry_at": None}],
            "runs": [{**place, "run_id": "0f3c1b7a-9a52", "ended_at": NOW, "seconds": 8.2,
                      "failed": 1}],
            "versions": {"rag-assets": "0.1.0", "PostgreSQL": "18.1"},
            "queue": {"pending": 1, "hints": 0, "oldest_pending_s": 12.0},
            "service": {"model": "all-MiniLM-L6-v2", "model_warm": True, "model_error": None,
                        "needs_key": bool(self.key), "max_files_per_upload": 15,
                        "max_file_mb": 50},
        }  # fmt: skip


def furnished() -> StandIn:
    """One collection with documents in every state."""
    return StandIn(
        collections=[collection("acme/handbook"), collection("acme/notes", state="current")],
        documents=[
            document(22, "live"), document(23, "partial"), document(24, "pending"),
            document(25, "failed", failure=FAILURE, is_searchable=True, chunks=4),
        ],
        hits=[hit(1), hit(2, title=None, page=None), hit(3, heading="")],
        passage={
            "document_id": 1, "document": "bulletin-1.pdf", "uri": hit(1)["uri"], "ordinal": 3,
            "title": hit(1)["title"], "media_type": "application/pdf", "ordinals": 12,
            "headings": ["Inspection", "Monthly"], "page_first": 4, "page_last": 4, "pages": 6,
            "has_pages": True, "before": "Ropes carry people. ", "passage": hit(1)["text"],
            "after": " A rope that fails is taken out of service at once.",
            "is_cut_before": True, "is_cut_after": False, "generation": 3,
        },
    )  # fmt: skip


@contextmanager
def served(stand_in: StandIn) -> Iterator[StandIn]:
    """The stand-in on a port of its own, for the time of the block."""
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(stand_in.app(), port=port, log_level="error", lifespan="off")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    stand_in.url = f"http://127.0.0.1:{port}"
    try:
        yield stand_in
    finally:
        server.should_exit = server.force_exit = True
        thread.join(10)


def _event(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


def _error(status: int, code: str, message: str) -> Response:
    body = {"code": code, "message": message, "detail": message, "info": {}}
    return JSONResponse(body, status)


def _job() -> dict[str, Any]:
    file = {"filename": "rope.txt", "original_name": "rope.txt", "status": "completed",
            "stage": "search_index", "error": None}  # fmt: skip
    return {"job_id": "j", "status": "completed", "total": 1, "completed": 1, "files": [file]}


async def _page(_request: Request) -> Response:
    from PIL import Image

    out = BytesIO()
    Image.new("RGB", (600, 850), "white").save(out, "PNG")
    return Response(out.getvalue(), media_type="image/png")
