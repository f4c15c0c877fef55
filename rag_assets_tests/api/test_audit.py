"""Who read which documents, by every way but a logged search: a line of the log says it."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from rag.api.app import ROUTES
from rag_assets_tests.api.conftest import ACME, PAGE, Api

pytestmark = pytest.mark.slow

ONE = {**ACME, "filename": "page.pdf"}
WAYS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "/files": ("GET", "/files", {"params": ACME}),
    "/files/chunks": ("GET", "/files/chunks", {"params": ONE}),
    "/cards": ("GET", "/cards", {"params": ONE}),
    "/file-summary": ("GET", "/file-summary", {"params": ONE}),
    "/retrieve": ("POST", "/retrieve", {
        "json": {"topic": "acme", "segment": "docs"}, "params": {"ticker": "page"},
    }),
    "/documents/{document_id}/passage": ("GET", "/documents/{id}/passage", {}),
    "/documents/{document_id}/pages/{page}.png": ("GET", "/documents/{id}/pages/1.png", {}),
    "/mcp": ("POST", "/mcp", {"json": {
        "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
            "name": "get_document",
            "arguments": {"collection": "acme/docs", "document": "page.pdf"},
        },
    }, "headers": {"Accept": "application/json, text/event-stream"}}),
}  # fmt: skip


@pytest.fixture
def document_id(api: Api) -> int:
    api.upload(("page.pdf", PAGE))
    api.ingest_uploads()
    listed = api.client.get("/documents", params={"collection": "acme/docs"}).json()
    return int(listed["documents"][0]["document_id"])


def lines_of(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [json.loads(each.message) for each in caplog.records if each.name == "rag.api"]


@pytest.mark.parametrize("route", WAYS)
def test_whoever_reads_a_document_leaves_a_record(
    api: Api, document_id: int, route: str, caplog: pytest.LogCaptureFixture
) -> None:
    key = api.key("acme")
    method, path, request = WAYS[route]
    headers = {**request.get("headers", {}), "X-API-Key": key}

    with caplog.at_level(logging.INFO, "rag.api"):
        where = path.format(id=document_id)
        answer = api.client.request(method, where, **{**request, "headers": headers})

    assert answer.status_code == 200, answer.text
    (line,) = lines_of(caplog)
    assert (line["principal"], line["route"]) == (key.partition(".")[0], route)
    assert line["retrieved"] == {"acme/docs": [document_id]}
    assert "page.pdf" not in caplog.text and "pump" not in caplog.text


@pytest.mark.parametrize("route", [each for each in WAYS if each != "/mcp"])
def test_who_was_given_nothing_leaves_no_document(
    api: Api, document_id: int, route: str, caplog: pytest.LogCaptureFixture
) -> None:
    api.conn.execute("update document set principals = '{board}'")
    method, path, request = WAYS[route]

    with caplog.at_level(logging.INFO, "rag.api"):
        api.client.request(
            method, path.format(id=document_id), headers={"X-API-Key": api.key("acme")}, **request
        )

    (line,) = lines_of(caplog)
    assert line.get("retrieved", {}).get("acme/docs", []) == []


def test_every_route_that_shows_text_by_name_or_id_is_tried() -> None:
    showing = {route.path for route in ROUTES if route.method == "GET" and (
        "file" in route.path or "cards" in route.path or "{document_id}" in route.path
    )}  # fmt: skip
    assert showing <= set(WAYS)
