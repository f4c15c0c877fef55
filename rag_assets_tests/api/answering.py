"""A filled service that answers, and what its log then holds."""

from __future__ import annotations

import time
from typing import Any

import httpx

from rag.api.pool import Database
from rag.api.service import Service
from rag.api.warmth import WarmEmbedder
from rag_assets_tests.api.conftest import Api, wait_until_warm
from rag_assets_tests.fakes_embed import FakeEmbedder

CABLE = b"# Cable\n\nThe haul rope of the cable car is inspected every month."
PUMP = b"# Pump\n\nThe pump house holds three pumps and a rope ladder."
ASKED = {"query": "How often is the haul rope inspected?", "collection": "acme/docs"}
UNKNOWN = "I don't know the answer."


def fill(api: Api) -> Api:
    """The service with two documents."""
    wait_until_warm(api)
    api.acme.source.put("cable.txt", CABLE)
    api.acme.source.put("pump.txt", PUMP)
    api.acme.run()
    return api


def sibling(api: Api) -> Service:
    """The same service again, for a socket of its own."""
    settings, first = api.service.settings, api.service
    url = str(first.database._pool.conninfo)
    return Service(settings, Database(url, settings), WarmEmbedder(FakeEmbedder), first.bucket,
                   first.pages, first.model_name)  # fmt: skip


def post(api: Api, **more: Any) -> httpx.Response:
    answer: httpx.Response = api.client.post("/rag", json={**ASKED, **more})
    return answer


def logged(api: Api) -> list[dict[str, Any]]:
    return api.conn.execute(
        "select query_log.query, query_log.hits, query_log.generation_id, answer_log.*"
        " from query_log left join answer_log on answer_log.query_id = query_log.id"
        " order by asked_at"
    ).fetchall()


def wait_for_log(api: Api, count: int = 1) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 10
    while len([row for row in logged(api) if row["outcome"]]) < count:
        assert time.monotonic() < deadline, logged(api)
        time.sleep(0.02)
    return logged(api)
