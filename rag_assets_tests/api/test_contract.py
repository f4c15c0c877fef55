"""Requests that nobody planned for, made from the API's own description: never a server error."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from rag.api.app import ROUTES
from rag_assets_tests.api.conftest import ACME, Api, MakeApi, wait_until_warm

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
pytestmark = pytest.mark.slow

OPERATIONS = sorted((route.method, route.path) for route in ROUTES)
EXAMPLES = 8
KNOWN = {"collection": "acme/docs", "model": "acme/docs", "filename": "rope.txt", **ACME}


@pytest.fixture
def filled(make_api: MakeApi) -> Api:
    """A service that has something to say."""
    api = make_api(requests_per_minute=0)
    wait_until_warm(api)
    api.upload(("rope.txt", b"A rope."))
    api.ingest_uploads()
    return api


def test_no_request_is_answered_with_a_server_error(filled: Api) -> None:
    document = filled.client.get("/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    answered = {
        f"{method} {path}": answers(filled, schema[path][method], method)
        for method, path in OPERATIONS
    }

    assert all(answered.values()) and sum(map(len, answered.values())) > 3 * len(OPERATIONS)
    assert {status for statuses in answered.values() for status in statuses} >= {200, 404, 422}


def answers(api: Api, operation: Any, method: str) -> list[int]:
    """The status of each generated request; none may be a server error."""
    found: list[int] = []

    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True,
        phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(data=st.data())
    def send(data: st.DataObject) -> None:
        mode = data.draw(st.sampled_from(list(schemathesis.GenerationMode)))
        case = data.draw(operation.as_strategy(generation_mode=mode))
        is_known = data.draw(st.booleans())  # made up names are turned away at the door
        answer = api.client.request(method, case.formatted_path, **request_of(case, is_known))
        found.append(answer.status_code)
        # all that it needs is there, and no limit hides an answer
        assert answer.status_code < 500 and answer.status_code != 429, answer.text
        if answer.status_code >= 400:
            assert {"code", "message"} <= set(answer.json()) or "error" in answer.json()

    send()
    return found


def request_of(case: Any, is_known: bool) -> dict[str, Any]:
    """A generated case as the test client takes it, perhaps for a collection that is there."""
    made = case.as_transport_kwargs(base_url="http://127.0.0.1")
    kept = {name: made[name] for name in ("params", "json", "data", "files") if made.get(name)}
    if isinstance(kept.get("data"), bytes | str):
        kept["content"] = kept.pop("data")
    for part in (kept.get("params"), kept.get("json"), kept.get("data")):
        if is_known and isinstance(part, dict):
            part.update({name: value for name, value in KNOWN.items() if name in part})
    headers = dict(made.get("headers") or {})
    headers.pop("Authorization", None)
    headers.pop("X-API-Key", None)
    try:
        json.dumps(kept.get("json"))
    except (TypeError, ValueError):
        kept.pop("json")
    return {**kept, "headers": headers}
