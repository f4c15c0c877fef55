"""Requests that are made to hurt: hostile filters, costly patterns, bodies that never end."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from rag.api.pool import Database
from rag.api.service import Service
from rag.api.warmth import WarmEmbedder
from rag.settings import Settings
from rag.store import access
from rag.store.access import KeyScope
from rag.store.database import Connection
from rag_assets_tests.api.conftest import Api
from rag_assets_tests.api.running import running
from rag_assets_tests.fakes_embed import FakeEmbedder

pytestmark = pytest.mark.slow

BODY_S = 0.5
QUERY = {"query": "rope", "collection": "acme/docs"}
HOSTILE = (
    "'; drop table document; --", "%' or '1'='1", "%s %(names)s {home}", "\\", "[", "[!", "(((",
    "a{9999}", "$.x ? (@ > 0)", '"]}', "\u202e", "*", "[z-a]", "[!]", "[]", "[\\", "[[.x.]]",
    "***=*", "(?i)rope.txt", "a\0b", "rope \ud800", "\udfff",
)  # fmt: skip
# what has no form in UTF-8, or none in Postgres
NO_TEXT = ("rope \ud800", "\udfff rope", "rope \0")


@pytest.fixture
def filled(api: Api) -> Api:
    api.acme.source.put("rope.txt", b"A rope.")
    api.acme.run()
    return api


@pytest.mark.parametrize("text", HOSTILE)
def test_no_filter_is_taken_for_sql_or_a_pattern_of_another_language(
    filled: Api, text: str
) -> None:
    kinds: list[dict[str, Any]] = [
        {"filenames": [text]}, {"names": [text]}, {"media_types": [text]}, {"languages": [text]},
        {"metadata": {text: text}}, {"metadata": {text: {"from": text}}},
    ]  # fmt: skip
    for filters in kinds:
        answer = post(filled, "/query", {**QUERY, "filters": filters})
        found = len(answer.json().get("hits", [])) if answer.status_code == 200 else 0
        assert answer.status_code in (200, 400, 422)
        assert found == (1 if filters == {"names": ["*"]} else 0)
    assert len(filled.ask("rope").json()["hits"]) == 1


def post(api: Api, path: str, body: Any) -> Any:
    """A request with all that JSON can say, lone surrogates among it."""
    headers = {"Content-Type": "application/json"}
    return api.client.post(path, content=json.dumps(body), headers=headers)


@pytest.mark.parametrize("text", NO_TEXT)
def test_what_is_no_text_is_refused_wherever_it_stands(filled: Api, text: str) -> None:
    said = {"query_id": filled.ask("rope").json()["query_id"], "thumb": "up"}
    turn = {"role": "user", "content": text}
    chat = {"model": "acme/docs", "messages": [turn]}
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("/query", {**QUERY, "query": text}), ("/query", {**QUERY, "collection": text}),
        ("/query", {**QUERY, text: 1}), ("/query", {**QUERY, "mode": text}),
        ("/rag", {**QUERY, "query": text}), ("/rag", {**QUERY, "history": [turn]}),
        ("/v1/chat/completions", chat), ("/v1/chat/completions", {**chat, "model": text}),
        ("/v1/chat/completions",
         {**chat, "messages": [{**turn, "content": [{"type": "text", "text": text}]}]}),
        ("/v1/embeddings", {"input": text}),
        ("/feedback", {**said, "comment": text}), ("/feedback", {**said, "document": text}),
        ("/api/topic", {"topic": text, "topic_action": "create"}),
        ("/api/collect", {"topic": "acme", "segment_targets": [text]}),
        ("/documents/retry", {"collection": text}),
    ]  # fmt: skip
    answers = [post(filled, path, body) for path, body in bodies]

    assert {answer.status_code for answer in answers} <= {400, 404, 422}
    assert all(answer.json().get("code") or answer.json()["error"] for answer in answers)
    setting = {"setting": {"embedding_model": text}}
    judged = post(filled, "/em-providers/sentence-transformers/setting/status", setting)
    assert (judged.status_code, judged.json()["valid"]) == (200, False)


@pytest.mark.parametrize("name", ["a\0b.txt", "a.txt\0"])
def test_a_file_whose_own_name_is_no_text_is_refused(filled: Api, name: str) -> None:
    parts = [('name="user_id"', "acme"), ('name="project_id"', "docs"),
             (f'name="files"; filename="{name}"', "A rope."),
             ('name="rename_map"', json.dumps({name: "a.txt"}))]  # fmt: skip
    form = "".join(
        f"--B\r\nContent-Disposition: form-data; {head}\r\n\r\n{body}\r\n" for head, body in parts
    )
    answer = filled.client.post(
        "/upload", content=f"{form}--B--\r\n".encode(),
        headers={"Content-Type": "multipart/form-data; boundary=B"},
    )  # fmt: skip
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_filename")


@pytest.mark.parametrize(
    "filters",
    [
        {"names": ["*a" * 127] * 20},
        {"names": ["?" * 255] * 20},
        {"names": ["[!a-z]*[b-y0]" * 19] * 20},
        {"metadata": {f"key-{number}": {"from": "a", "to": "b"} for number in range(20)}},
        {"filenames": [f"{number}" * 80 for number in range(100)]},
    ],
)
def test_the_costliest_filters_allowed_cost_little(filled: Api, filters: Any) -> None:
    for number in range(30):
        filled.acme.source.put("a" * 120 + f"{number}.txt", b"rope %d" % number)
    filled.acme.run()
    started = time.process_time()
    answer = filled.ask("rope", filters=filters)
    assert answer.status_code == 200 and answer.elapsed.total_seconds() < 5
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/cards", {"user_id": "acme", "project_id": "docs", "skip": 10**9}),
        ("/cards", {"user_id": "acme", "project_id": "docs", "limit": 10**6}),
        ("/files/chunks", {"user_id": "acme", "project_id": "docs", "filename": "x" * 5000}),
        ("/documents", {"collection": "acme/docs", "limit": 10**6}),
    ],
)
def test_pages_are_neither_deep_nor_large(filled: Api, path: str, params: Any) -> None:
    answer = filled.client.get(path, params=params)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_a_list_of_files_summarises_a_page_at_a_time(filled: Api) -> None:
    for number in range(104):
        filled.acme.source.put(f"{number:03}.txt", b"rope %d" % number)
    filled.acme.run()
    place = {"user_id": "acme", "project_id": "docs"}

    first = filled.client.get("/files", params=place).json()
    second = filled.client.get("/files", params={**place, "skip": 100}).json()

    assert len(first["filenames"]) == 105 and first["filenames"] == second["filenames"]
    assert (len(first["files"]), len(second["files"])) == (100, 5)
    pages = [*first["files"], *second["files"]]
    assert [each["filename"] for each in pages] == first["filenames"]
    assert all(each["summary"] for each in pages)
    too_many = filled.client.get("/files", params={**place, "limit": 501})
    assert too_many.json()["code"] == "invalid_request"


def slow_service(database_url: str, **settings: Any) -> Any:
    chosen = Settings(api_body_timeout_s=BODY_S, api_max_in_flight=4, **settings)
    return running(Service(
        chosen, Database(database_url, chosen), WarmEmbedder(FakeEmbedder), None, None, "fake"  # type: ignore[arg-type]
    ))  # fmt: skip


@pytest.fixture
def url(database_url: str) -> Iterator[str]:
    with slow_service(database_url) as at:
        yield at


def half_a_request(url: str, key: str | None = None) -> socket.socket:
    """A connection whose body stops in its middle."""
    place = urlsplit(url)
    line = socket.create_connection((place.hostname, place.port), timeout=20)  # type: ignore[arg-type]
    line.sendall(
        b"POST /query HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        + (b"" if key is None else f"X-API-Key: {key}\r\n".encode())
        + b'Content-Length: 1000\r\n\r\n{"query": '
    )
    return line


REST = b'"rope", "collection": "acme/none"}'.ljust(1000 - len(b'{"query": '))


def sent_in_pieces(line: socket.socket, size: int) -> bytes:
    """Its answer, the rest of the body sent piece by piece, never silent for as long as it may."""
    line.settimeout(BODY_S / 4)
    for start in range(0, len(REST), size):
        line.sendall(REST[start : start + size])
        with suppress(TimeoutError):
            return line.recv(4096)
    line.settimeout(20)
    return line.recv(4096)


def test_bodies_that_never_end_are_given_up_and_the_others_are_served(url: str) -> None:
    lines = [half_a_request(url) for _ in range(4)]
    try:
        answers = [line.recv(4096) for line in lines]
    finally:
        for line in lines:
            line.close()
    assert all(b" 408 " in answer and b"slow_body" in answer for answer in answers)
    body = {"query": "rope", "collection": "acme/none"}
    assert httpx.post(f"{url}/query", json=body, timeout=10).status_code == 404


def test_without_a_body_that_stops_nothing_is_given_up(url: str) -> None:
    """The control: the same request, whole."""
    with half_a_request(url) as line:
        line.sendall(REST)
        assert b" 404 " in line.recv(4096)


def test_a_body_that_drips_is_given_up(url: str) -> None:
    started = time.monotonic()
    with half_a_request(url) as line:
        answer = sent_in_pieces(line, 1)  # whole, it would take two minutes
    assert b" 408 " in answer and b"slow_body" in answer
    assert time.monotonic() - started < 10 * BODY_S


def test_a_body_that_is_fast_enough_may_take_its_time(database_url: str) -> None:
    """The control: nearly as slow, at a rate that is allowed."""
    started = time.monotonic()
    with (
        slow_service(database_url, api_body_bytes_per_s=100) as url,
        half_a_request(url) as line,
    ):
        assert b" 404 " in sent_in_pieces(line, 60)
    assert time.monotonic() - started > 3 * BODY_S


def test_one_key_leaves_places_to_the_others(database_url: str, conn: Connection) -> None:
    busy, calm = (access.create_key(conn, KeyScope("acme", "read"), None) for _ in range(2))
    body = {"query": "rope", "collection": "acme/none"}

    def ask(url: str, key: str) -> httpx.Response:
        return httpx.post(f"{url}/query", json=body, headers={"X-API-Key": key}, timeout=10)

    with slow_service(database_url, api_max_in_flight_per_key=2) as url:
        lines = [half_a_request(url, busy) for _ in range(2)]
        time.sleep(BODY_S / 4)
        refused, served = ask(url, busy), ask(url, calm)
        given_up = [line.recv(4096) for line in lines]
        again = ask(url, busy)
        for line in lines:
            line.close()

    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_at_once")
    assert int(refused.headers["retry-after"]) >= 1
    assert served.status_code == again.status_code == 404
    assert all(b" 408 " in answer for answer in given_up)
