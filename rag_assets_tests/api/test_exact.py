"""The interface that other programs were written against, field by field."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from rag_assets_tests.api.conftest import ACME, Api, MakeApi

pytestmark = pytest.mark.slow

TEXT = b"# Ropes\n\nThe rope is made of steel. " * 40
JOB = {"job_id", "status", "total", "completed", "progress", "percent", "last_error", "created_at",
       "files"}  # fmt: skip
CARD = {"user_id", "project_id", "filename", "topic_name", "summary", "content", "page_span",
        "card_id", "_id"}  # fmt: skip
HIT = {"document", "document_id", "uri", "title", "page", "heading", "text", "score", "ranks",
       "ordinal", "content_hash", "version_id",
       "start_char", "end_char", "before", "after"}  # fmt: skip


@pytest.fixture
def filled(api: Api) -> Api:
    """Three files, of which one is in several passages."""
    job = api.upload(("b.txt", TEXT), ("a.txt", b"A pump."), ("c.txt", b"Oil."))
    assert job.status_code == 200
    api.ingest_uploads()
    return api


def get(api: Api, path: str, **params: Any) -> Any:
    return api.client.get(path, params={**ACME, **params}).json()


def test_an_upload_and_its_status(api: Api) -> None:
    said = api.upload(("a.txt", b"A pump.")).json()

    assert said == {"job_id": said["job_id"], "status": "processing", "total_files": 1}
    assert uuid.UUID(said["job_id"]).version == 4
    status = api.status(said["job_id"])
    assert set(status) == JOB and status["status"] == "processing"
    api.ingest_uploads()
    done = api.status(said["job_id"])
    assert (done["status"], done["total"], done["completed"]) == ("completed", 1, 1)
    assert (done["progress"], done["percent"], done["last_error"]) == (100.0, 100, None)
    assert isinstance(done["progress"], float) and isinstance(done["percent"], int)
    assert isinstance(done["created_at"], float) and done["created_at"] > 1.7e9
    assert set(done["files"][0]) == {"filename", "original_name", "status", "stage", "error"}


def test_files_cards_and_chunks(filled: Api) -> None:
    files = get(filled, "/files")
    assert set(files) == {"files", "filenames"}
    assert files["filenames"] == ["a.txt", "b.txt", "c.txt"]
    assert [set(each) for each in files["files"]] == [{"filename", "summary"}] * 3

    chunks = get(filled, "/files/chunks", filename="b.txt")["chunks"]
    assert set(chunks[0]) == {*CARD, "embedding"} and chunks[0]["embedding"] is None
    with_vectors = get(filled, "/files/chunks", filename="b.txt", with_embedding=True)["chunks"]
    assert len(with_vectors[0]["embedding"]) > 1
    assert chunks[0]["card_id"] == "btxt-c0001" and isinstance(chunks[0]["_id"], str)

    cards = get(filled, "/cards")["cards"]
    assert len(cards) > 2 and set(cards[0]) == CARD
    assert get(filled, "/cards", skip=1, limit=1)["cards"] == cards[1:2]
    assert set(get(filled, "/file-summary", filename="a.txt")) == {"filename", "summary"}


def test_the_limits_that_hold_when_none_is_given(api: Api) -> None:
    paths = api.client.get("/openapi.json").json()["paths"]

    def default(path: str, name: str) -> Any:
        named = {each["name"]: each["schema"] for each in paths[path]["get"]["parameters"]}
        return named[name]["default"]

    assert default("/files/chunks", "limit") == 20
    assert default("/files/chunks", "with_embedding") is False
    assert (default("/cards", "limit"), default("/cards", "skip")) == (50, 0)
    schemas = api.client.get("/openapi.json").json()["components"]["schemas"]
    assert schemas["Query"]["properties"]["k"]["default"] == 4
    assert schemas["Query"]["properties"]["mode"]["default"] == "hybrid"
    assert schemas["Ask"]["properties"]["k"]["default"] == 4


def test_every_body_is_described(api: Api) -> None:
    document = api.client.get("/openapi.json").json()

    bodies = {
        path: next(iter(item["post"]["requestBody"]["content"].values()))["schema"]
        for path, item in document["paths"].items()
        if "post" in item
    }
    assert len(bodies) >= 15
    assert [
        path for path, it in bodies.items() if not {"$ref", "properties", "anyOf"} & set(it)
    ] == []
    assert bodies["/api/topic"]["properties"]["topic_action"]["enum"] == ["create", "delete"]


def test_a_question_its_hits_and_what_is_said_of_them(filled: Api) -> None:
    found = filled.ask("pump").json()
    assert set(found) == {"query_id", "generation", "as_of", "hits"}
    assert set(found["hits"][0]) == HIT

    said = filled.client.post("/feedback", json={"query_id": found["query_id"], "thumb": "up"})
    assert set(said.json()) == {"feedback_id", "query_id"}
    answer = filled.client.post("/rag", json={"query": "pump", "collection": "acme/docs"}).json()
    assert set(answer) == {
        "query_id", "answer", "is_answered", "citations", "dropped", "uncited", "model", "usage",
        "latency_ms", "generation", "as_of",
    }  # fmt: skip


def test_a_deleted_file(filled: Api) -> None:
    path = "/files"

    assert filled.client.delete(path, params={**ACME, "filename": "a.txt"}).json() == {
        "message": "File deleted"
    }
    assert get(filled, path)["filenames"] == ["b.txt", "c.txt"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/query", "text/plain"), ("/query", "application/x-www-form-urlencoded"),
        ("/api/topic", "text/plain"), ("/upload", "application/json"), ("/rag", "text/xml"),
    ],
)  # fmt: skip
def test_a_body_of_another_type_is_a_415(api: Api, path: str, kind: str) -> None:
    body = b'{"query": "rope", "collection": "acme/docs"}'

    answer = api.client.post(path, content=body, headers={"content-type": kind})

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert set(answer.json()) == {"code", "message", "detail", "info"}


def test_a_charset_beside_the_type_is_fine(api: Api) -> None:
    answer = api.client.post(
        "/query", content=b'{"query": "rope", "collection": "acme/docs"}',
        headers={"content-type": "Application/JSON; charset=utf-8"},
    )  # fmt: skip

    assert answer.status_code == 200


def test_only_the_origins_of_the_settings_may_call_from_a_browser(make_api: MakeApi) -> None:
    api = make_api(cors_origins="https://a.example, https://b.example")
    key = api.key()
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "X-API-Key"}

    def allowed(origin: str) -> list[Any]:
        headers = {"Origin": origin, "X-API-Key": key}
        answers = [
            api.client.options("/query", headers={**asked, "Origin": origin}),
            api.client.get("/collections", headers=headers),
        ]
        return [answer.headers.get("access-control-allow-origin") for answer in answers]

    assert allowed("https://b.example") == ["https://b.example"] * 2
    assert allowed("https://c.example") == [None, None]
