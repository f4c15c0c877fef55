"""What each operation answers, for the API's description; no answer is ever checked against it."""

from __future__ import annotations

from typing import Any

from fastapi import Response
from fastapi.responses import JSONResponse

from rag.api import ask, shapes, shapes_of_files, shapes_of_state
from rag.api.faults import Problem

Responses = dict[int | str, dict[str, Any]]

_PROBLEMS: Responses = {
    "4XX": {"model": Problem, "description": "The request can not be served; `code` says why."},
    "5XX": {"model": Problem, "description": "503: try again after Retry-After. 500: a defect."},
}
_MODELS: dict[str, Any] = {
    "GET /health": shapes.Health,
    "GET /livez": shapes.Alive,
    "GET /readyz": shapes.Ready,
    "POST /query": ask.Answer,
    "POST /feedback": ask.Thanks,
    "POST /rag": shapes.CitedAnswer,
    "POST /v1/chat/completions": shapes.ChatCompletion,
    "GET /v1/models": shapes.ServedModels,
    "POST /v1/embeddings": shapes.Vectors,
    "POST /api/topic": shapes_of_files.TopicDone,
    "POST /api/segment": shapes_of_files.SegmentDone,
    "POST /api/collect": shapes_of_files.Collecting | list[shapes_of_files.Collecting],
    "POST /retrieve": shapes_of_files.Record | shapes_of_files.Nothing,
    "POST /upload": shapes_of_files.JobStarted,
    "GET /upload/status": shapes_of_files.JobStatus,
    "GET /files": shapes_of_files.Files,
    "DELETE /files": shapes_of_files.Deleted,
    "GET /files/chunks": shapes_of_files.Chunks,
    "GET /cards": shapes_of_files.Cards,
    "GET /file-summary": shapes_of_files.FileSummary,
    "GET /collections": shapes_of_state.Standings,
    "GET /documents": shapes_of_state.Documents,
    "POST /documents/retry": shapes_of_state.Due,
    "GET /documents/{document_id}/passage": shapes_of_state.PlacedPassage,
    "GET /system": shapes_of_state.System,
}


def _content(kind: str, **schema: str) -> dict[str, Any]:
    return {"content": {kind: {"schema": {"type": "string", **schema}}}}


_SHARE = {"description": "Where the first mark is, of the height.", "schema": {"type": "number"}}
# what an operation may answer beside its model, or without one
_OTHERS: dict[str, dict[str, Any]] = {
    "GET /metrics": _content("text/plain"),
    "POST /rag": _content(
        "text/event-stream", description="With `stream`: `passages`, `delta`s, `done` or `error`."
    ),
    "POST /v1/chat/completions": _content(
        "text/event-stream", description="With `stream`: chat.completion.chunk, then `[DONE]`."
    ),
    "GET /documents/{document_id}/pages/{page}.png": {
        **_content("image/png", format="binary"), "headers": {"X-Marked-At": _SHARE},
    },
}  # fmt: skip


def responses(method: str, path: str, model: Any = None) -> Responses:
    """What may come back; `model` is the answer's where the table has none."""
    name = f"{method} {path}"
    model = _MODELS.get(name, model)
    answer = {"description": "As asked.", **({} if model is None else {"model": model})}
    found: Responses = {200: {**answer, **_OTHERS.get(name, {})}, **_PROBLEMS}
    if path == "/readyz":
        found[503] = {"model": model, "description": "Not ready; the body says what is missing."}
    return found


def response_class(method: str, path: str, model: Any = None) -> type[Response]:
    """JSON, but for what has no model."""
    is_json = model is not None or f"{method} {path}" in _MODELS
    return JSONResponse if is_json else Response
