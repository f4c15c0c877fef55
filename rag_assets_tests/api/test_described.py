"""The API's description: what every operation answers, held against what it really answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from rag.api.app import ROUTES
from rag_assets_tests.answer.loopback import Loopback
from rag_assets_tests.api.answering import fill
from rag_assets_tests.api.conftest import ACME, PAGE, Api, MakeApi

pytestmark = pytest.mark.slow

OPERATIONS = sorted((route.method, route.path) for route in ROUTES)
JSON = "application/json"
OTHERS = {
    ("GET", "/metrics"): {"text/plain"},
    ("GET", "/documents/{document_id}/pages/{page}.png"): {"image/png"},
    ("POST", "/rag"): {JSON, "text/event-stream"},
    ("POST", "/v1/chat/completions"): {JSON, "text/event-stream"},
}
ASKED = {"query": "How often is the haul rope inspected?", "collection": "acme/docs"}
CHAT = {"model": "acme/docs", "messages": [{"role": "user", "content": ASKED["query"]}]}
TOPIC = {"topic": "acme", "segment_targets": ["docs"]}
FILE = {**ACME, "filename": "rope.txt"}
SETTING = {"setting": None}


@pytest.fixture
def filled(make_api: MakeApi, model: Loopback) -> Api:
    """Documents of every kind: searchable, on pages, failed."""
    api = fill(make_api(llm_base_url=model.url, llm_model="loopback"))
    api.upload(("rope.txt", b"# Rope\n\nThe rope is old. " * 40), ("page.pdf", PAGE))
    api.acme.source.put("bad.txt", b"BROKEN")
    api.ingest_uploads()
    return api


@pytest.fixture
def document(filled: Api) -> dict[str, Any]:
    """The description, closed: it must name all that comes."""
    found: dict[str, Any] = filled.client.get("/openapi.json").json()
    for schema in found["components"]["schemas"].values():
        if "properties" in schema:
            schema["additionalProperties"] = False
    return found


def contents(document: dict[str, Any], operation: tuple[str, str]) -> dict[str, Any]:
    method, path = operation
    found: dict[str, Any] = document["paths"][path][method.lower()]["responses"]["200"]["content"]
    return found


def test_every_answer_is_described(document: dict[str, Any]) -> None:
    found = {operation: contents(document, operation) for operation in OPERATIONS}

    assert {operation: set(kinds) for operation, kinds in found.items()} == {
        operation: OTHERS.get(operation, {JSON}) for operation in OPERATIONS
    }
    schemas = [
        (operation, media["schema"])
        for operation, kinds in found.items()
        for media in kinds.values()
    ]
    assert [each for each in schemas if not {"$ref", "type", "anyOf"} & set(each[1])] == []


def requests(api: Api) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
    """Each operation in a form that succeeds, the one that deletes last."""
    query_id = api.ask("rope").json()["query_id"]
    said = {"query_id": query_id, "thumb": "up", "document": "rope.txt", "ordinal": 0}
    job_id = api.upload(("rope.txt", b"# Rope\n\nThe rope is old. " * 40)).json()["job_id"]
    record = {"topic": "acme", "segment": "docs"}
    yield from [
        (("POST", "/query"), {"json": {**ASKED, "neighbors": 1}}),
        (("POST", "/query"), {"json": {**ASKED, "min_score": 10}}),
        (("POST", "/feedback"), {"json": said}),
        (("POST", "/rag"), {"json": ASKED}),
        (("POST", "/rag"), {"json": {**ASKED, "stream": True}}),
        (("POST", "/rag"), {"json": {**ASKED, "query": "zebra"}}),
        (("POST", "/v1/chat/completions"), {"json": CHAT}),
        (("POST", "/v1/chat/completions"), {"json": {**CHAT, "stream": True}}),
        (("POST", "/v1/embeddings"), {"json": {"input": "rope"}}),
        (("POST", "/v1/embeddings"), {"json": {"input": ["a"], "encoding_format": "base64"}}),
        (("POST", "/api/topic"), {"json": {"topic": "acme", "topic_action": "create"}}),
        (
            ("POST", "/api/segment"),
            {"json": {**record, "segment": "x", "segment_action": "create"}},
        ),
        (("POST", "/api/collect"), {"json": TOPIC}),
        (("POST", "/api/collect"), {"json": [TOPIC]}),
        (("POST", "/api/collect"), {"json": [{**TOPIC, "mode": "backfill"}, TOPIC]}),
        (("POST", "/retrieve"), {"json": record, "params": {"ticker": "rope"}}),
        (("POST", "/retrieve"), {"json": record, "params": {"ticker": "zebra"}}),
        (("POST", "/upload"), {"data": ACME, "files": {"files": ("new.txt", b"New.")}}),
        (("GET", "/upload/status"), {"params": {"job_id": job_id}}),
        (("GET", "/files"), {"params": ACME}),
        (("GET", "/files/chunks"), {"params": FILE}),
        (("GET", "/files/chunks"), {"params": {**FILE, "with_embedding": True}}),
        (("GET", "/cards"), {"params": ACME}),
        (("GET", "/file-summary"), {"params": FILE}),
        (("GET", "/documents"), {"params": {"collection": "acme/docs"}}),
        (("GET", "/documents"), {"params": {"collection": "acme/docs", "limit": 1}}),
        (("POST", "/documents/retry"), {"json": {"collection": "acme/docs"}}),
    ]
    known = {operation for operation in OPERATIONS if operation[0] == "GET"} | {
        operation for operation in OPERATIONS if operation[1].endswith("/setting/status")
    }
    asked = {"/upload/status", "/files", "/files/chunks", "/cards", "/file-summary", "/documents"}
    for method, path in sorted(known):
        if path not in asked:
            yield (method, path), {"json": SETTING} if method == "POST" else {}
    yield ("DELETE", "/files"), {"params": FILE}


def test_what_comes_is_what_is_described(filled: Api, document: dict[str, Any]) -> None:
    listed = filled.client.get("/documents", params={"collection": "acme/docs", "q": "page.pdf"})
    page = listed.json()["documents"][0]["document_id"]
    seen = set()
    for operation, more in requests(filled):
        method, path = operation
        kind = path.split("/")[1]
        is_provider = kind.endswith("-providers")
        provider = filled.client.get(f"/{kind}").json()[0] if is_provider else ""
        address = path.format(document_id=page, page=1, provider_id=provider)
        answer = filled.client.request(method, address, **more)

        assert answer.status_code == 200, (operation, answer.text)
        seen.add(operation)
        media = answer.headers["content-type"].partition(";")[0]
        schema = contents(document, operation)[media]["schema"]
        if media == JSON:
            check(answer.json(), schema, document)

    assert seen == set(OPERATIONS)


def check(body: object, schema: dict[str, Any], document: dict[str, Any]) -> None:
    """Raises jsonschema's error when the body is not as described."""
    whole = {**schema, "components": document["components"]}
    jsonschema.Draft202012Validator(whole).validate(body)


def test_the_check_notices_what_is_missing_too_much_or_of_another_type(
    document: dict[str, Any],
) -> None:
    schema = contents(document, ("GET", "/file-summary"))[JSON]["schema"]
    right = {"filename": "a", "summary": "b"}
    check(right, schema, document)

    for wrong in ({"filename": "a"}, {**right, "more": 1}, {**right, "summary": 1}):
        with pytest.raises(jsonschema.ValidationError):
            check(wrong, schema, document)


def test_a_service_that_is_not_ready_says_so_as_described(
    filled: Api, document: dict[str, Any]
) -> None:
    filled.service.is_stopping = True
    answer = filled.client.get("/readyz")

    described = document["paths"]["/readyz"]["get"]["responses"]["503"]["content"][JSON]["schema"]
    assert answer.status_code == 503
    check(answer.json(), described, document)
