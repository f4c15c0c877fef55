"""What each operation answers, for the API's description; no answer is ever checked against it."""

from __future__ import annotations

from typing import Any

from rag.api.faults import Problem

Responses = dict[int | str, dict[str, Any]]

_PROBLEMS: Responses = {
    "4XX": {"model": Problem, "description": "The request can not be served; `code` says why."},
    "5XX": {"model": Problem, "description": "503: try again after Retry-After. 500: a defect."},
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


def responses(method: str, path: str, model: Any) -> Responses:
    """What may come back; `model` is the answer's, where it has one."""
    answer = {"description": "As asked.", **({} if model is None else {"model": model})}
    others = _OTHERS.get(f"{method} {path}", {})
    found: Responses = {200: {**answer, **others}, **_PROBLEMS}
    if path == "/readyz":
        found[503] = {"model": model, "description": "Not ready; the body says what is missing."}
    return found
