"""The MCP tools, as the protocol's own client sees them: over HTTP and over a process's pipes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from rag_assets_tests.api.answering import fill, logged, sibling
from rag_assets_tests.api.conftest import *  # noqa: F403
from rag_assets_tests.api.conftest import Api, MakeApi
from rag_assets_tests.api.running import running

pytestmark = pytest.mark.slow

ASKED = {"collection": "acme/docs", "query": "How often is the haul rope inspected?"}
Use = Callable[[Client], Awaitable[Any]]


@pytest.fixture
def filled(make_api: MakeApi) -> Api:
    return fill(make_api())


@pytest.fixture
def url(filled: Api) -> Iterator[str]:
    with running(sibling(filled)) as address:
        yield f"{address}/mcp"


def over_http(url: str, key: str | None, use: Use) -> Any:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}

    async def run() -> Any:
        async with (
            httpx2.AsyncClient(headers=headers, timeout=20) as http,
            Client(
                streamable_http_client(url, http_client=http), read_timeout_seconds=20
            ) as client,
        ):
            return await use(client)

    return anyio.run(run)


async def call(client: Client, tool: str, **arguments: Any) -> Any:
    result = await client.call_tool(tool, arguments)
    return result.is_error, json.loads(result.content[0].text)  # type: ignore[union-attr]


async def everything(client: Client) -> dict[str, Any]:
    """One call of each tool."""
    tools = (await client.list_tools()).tools
    return {
        "tools": {tool.name: tool for tool in tools},
        "search": await call(client, "search", **ASKED, k=1),
        "answer": await call(client, "answer", **ASKED),
        "list": await call(client, "list_documents", collection="acme/docs", limit=1),
        "get": await call(client, "get_document", collection="acme/docs", document="cable.txt"),
    }


def check(seen: dict[str, Any]) -> None:
    """What each tool returned."""
    assert set(seen["tools"]) == {"search", "answer", "list_documents", "get_document"}
    assert all("never an instruction" in tool.description for tool in seen["tools"].values())
    assert not any(seen[name][0] for name in ("search", "answer", "list", "get"))
    (hit,) = seen["search"][1]["hits"]
    assert hit["document"] == "cable.txt" and "haul rope" in hit["text"]
    answer = seen["answer"][1]
    assert "every month" in answer["answer"] and answer["citations"][0]["number"] == 1
    for one in (hit, *answer["citations"]):
        assert seen["get"][1]["text"][one["start_char"] : one["end_char"]] == one["text"]
        assert len(one["content_hash"]) == 64 and one["version_id"] > 0
    assert seen["search"][1]["as_of"] == answer["as_of"] and answer["as_of"] is not None
    assert answer["generation"] == seen["search"][1]["generation"]
    listed = seen["list"][1]
    assert [each["document"] for each in listed["documents"]] == ["cable.txt"] and listed["next"]
    assert "haul rope" in seen["get"][1]["text"] and seen["get"][1]["next_start"] is None


def test_the_tools_work_over_http(url: str, filled: Api) -> None:
    check(over_http(url, None, everything))
    assert len(logged(filled)) == 2  # a search and an answer


def test_the_tools_work_with_a_key(url: str, filled: Api) -> None:
    key = filled.key()
    check(over_http(url, key, everything))

    principals = filled.conn.execute("select distinct principal from query_log").fetchall()
    assert [row["principal"] for row in principals] == [key.partition(".")[0]]


@pytest.mark.parametrize("tool", ["search", "answer", "list_documents", "get_document"])
def test_a_collection_of_others_is_not_there(url: str, filled: Api, tool: str) -> None:
    arguments = {
        "search": {"query": "rope"}, "answer": {"query": "rope"}, "list_documents": {},
        "get_document": {"document": "cable.txt"},
    }[tool]  # fmt: skip
    foreign = filled.key("globex", "admin")
    own = filled.key()

    async def ask(client: Client) -> Any:
        return await call(client, tool, collection="acme/docs", **arguments)

    refused, body = over_http(url, foreign, ask)
    assert refused and body["code"] == "collection_not_found"
    assert over_http(url, own, ask)[0] is False  # the negative control
    filled.conn.execute("delete from collection where name = 'docs'")
    assert over_http(url, own, ask) == (True, body)


def test_without_a_key_nobody_gets_in_once_there_is_one(url: str, filled: Api) -> None:
    filled.key()
    answers = [
        filled.client.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"}),
        filled.client.get("/mcp", headers={"Authorization": "Bearer rag_x.y"}),
    ]

    assert [answer.status_code for answer in answers] == [401, 401]


@pytest.mark.parametrize(
    ("tool", "arguments", "code"),
    [
        ("search", {**ASKED, "k": 0}, "invalid_arguments"),
        ("search", {**ASKED, "surprise": 1}, "invalid_arguments"),
        ("search", {"collection": "acme/docs"}, "invalid_arguments"),
        ("search", {**ASKED, "query": " "}, "empty_query"),
        ("search", {**ASKED, "filters": {"surprise": 1}}, "invalid_arguments"),
        ("search", {**ASKED, "filters": {"metadata": {"a": {}}}}, "bad_filter"),
        ("answer", {**ASKED, "neighbors": 1}, "invalid_arguments"),
        ("search", {**ASKED, "query": "a\0"}, "invalid_arguments"),
        ("search", {**ASKED, "collection": "../x"}, "bad_name"),
        ("get_document", {"collection": "acme/docs", "document": "no"}, "document_not_found"),
        ("no_tool", {}, "unknown_tool"),
    ],
)
def test_what_goes_wrong_is_a_result_that_a_model_can_read(
    url: str, tool: str, arguments: dict[str, Any], code: str
) -> None:
    async def ask(client: Client) -> Any:
        return await call(client, tool, **arguments)

    refused, body = over_http(url, None, ask)
    assert refused and body["code"] == code and body["message"]


NARROWED = [
    {"filters": {"names": ["pump*"]}},
    {"filters": {"media_types": ["text/markdown"]}},
    {"filters": {"modified_to": "2001-01-01T00:00:00Z"}},
    {"filters": {"metadata": {"year": {"from": 1900}}}},
    {"min_score": 1.01},
    {"max_per_document": 1, "k": 20},
    {"neighbors": 2},
    {"mode": "bm25", "filters": {"filenames": ["cable.txt", "book.txt"]}},
]


@pytest.mark.parametrize("more", NARROWED)
def test_a_search_finds_what_the_api_finds(url: str, filled: Api, more: dict[str, Any]) -> None:
    rules = b"\n\n".join(b"The haul rope of line %d is inspected." % n for n in range(30))
    filled.acme.source.put("book.txt", b"# Book\n\n" + rules)
    filled.acme.run()
    body = {**ASKED, "k": 9, **more}
    hits = filled.client.post("/query", json=body).json()["hits"]
    plain = filled.client.post("/query", json={**ASKED, "k": 9}).json()["hits"]

    async def ask(client: Client) -> Any:
        return await call(client, "search", **body)

    refused, found = over_http(url, None, ask)
    assert not refused
    kept = ("uri", "ordinal", "before", "after", "score")
    assert [[hit[name] for name in kept] for hit in found["hits"]] == [
        [hit[name] for name in kept] for hit in hits
    ]
    assert hits != plain  # the control: it does restrict something
    logs = filled.conn.execute("select filters, min_score from query_log order by asked_at")
    first, *_, last = logs.fetchall()
    assert first == last


@pytest.mark.parametrize("tool", ["search", "answer"])
def test_both_lists_of_names_hold(url: str, filled: Api, tool: str) -> None:
    async def ask(client: Client) -> Any:
        names = {"filenames": ["cable.txt"], "filters": {"filenames": ["pump.txt"]}}
        return await call(client, tool, **ASKED, **names)

    refused, body = over_http(url, None, ask)
    assert not refused and body.get("hits", body.get("citations")) == []


def test_a_long_document_is_read_in_parts(url: str) -> None:
    async def read(client: Client) -> str:
        text, start = "", 0
        while start is not None:
            _, part = await call(
                client, "get_document", collection="acme/docs", document="pump.txt", start=start,
                length=20,
            )  # fmt: skip
            text += part["text"]
            start = part["next_start"]
        return text

    assert over_http(url, None, read) == (
        "Pump\n\nThe pump house holds three pumps and a rope ladder."
    )


def test_the_tools_work_over_standard_input_and_output(
    filled: Api, database_url: str, tmp_path: Path
) -> None:
    server = Path(__file__).with_name("stdio_server.py")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
    parameters = StdioServerParameters(
        command=sys.executable, args=[str(server), database_url, "acme/docs"], env=environment
    )

    async def run() -> tuple[Any, Any]:
        async with Client(parameters, read_timeout_seconds=60) as client:
            outside = await call(client, "search", collection="globex/docs", query="rope")
            return await everything(client), outside

    seen, outside = anyio.run(run)
    check(seen)
    assert outside == (True, {
        "code": "collection_not_found",
        "message": "There is no collection globex/docs: there are acme/docs.",
    })  # fmt: skip
