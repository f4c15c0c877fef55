"""Every route, as everybody who might call it. The list of routes is the application's own."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.routing import APIRoute

from rag.api.app import ROUTES, build_app
from rag.api.principal import Need
from rag.api.providers import TABLE
from rag.errors import NotFoundError
from rag.store import access
from rag.store.access import KeyScope
from rag_assets_tests.api.conftest import ACME, PAGE, Api, MakeApi, wait_until_warm

pytestmark = pytest.mark.slow

OPERATIONS = [(route.method, route.path) for route in ROUTES]
GUARDED = [(r.method, r.path) for r in ROUTES if r.need is not Need.PUBLIC]
# what an owner of acme with every role is answered
EXPECTED_OF_OWNER = {(r.method, r.path): 403 for r in ROUTES if r.need is Need.OPERATOR}
OF_PROVIDERS = {each for each in GUARDED if each[1].split("/")[1] in TABLE}
# those that may change what is there: one at a time; the others all at once
OWN = [each for each in GUARDED if each not in OF_PROVIDERS]
# operations that name nobody's things
UNSCOPED = OF_PROVIDERS | {("POST", "/v1/embeddings"), ("GET", "/metrics"),
            ("GET", "/collections"), ("GET", "/system"), ("GET", "/v1/models"),
            ("POST", "/api/topic")}  # fmt: skip

# operations whose 400 says which of two things is missing: see test_topics
SAYS_WHAT_IS_MISSING = {("POST", "/api/collect")}
# operations that make what is missing
MAKES = {("POST", "/upload"), ("POST", "/api/segment")}


@dataclass(frozen=True)
class Things:
    """What exists in acme: ids that others must not be able to use."""

    query_id: str
    job_id: str
    document_id: int


def request_of(api: Api, operation: tuple[str, str], things: Things, key: str | None) -> Any:
    """A request for acme's things that succeeds for its owner."""
    one = {**ACME, "filename": "rope.txt"}
    said = {"query_id": things.query_id, "thumb": "up"}
    requests: dict[tuple[str, str], dict[str, Any]] = {
        ("POST", "/query"): {"json": {"query": "rope", "collection": "acme/docs"}},
        ("POST", "/feedback"): {"json": said},
        ("POST", "/v1/embeddings"): {"json": {"input": "rope"}},
        ("POST", "/rag"): {"json": {"query": "rope", "collection": "acme/docs"}},
        ("POST", "/v1/chat/completions"): {
            "json": {"model": "acme/docs", "messages": [{"role": "user", "content": "rope"}]}
        },
        ("GET", "/v1/models"): {},
        ("POST", "/api/topic"): {"json": {"topic": "acme", "topic_action": "create"}},
        ("POST", "/api/segment"): {
            "json": {"topic": "acme", "segment": "fresh", "segment_action": "create"}
        },
        ("POST", "/api/collect"): {"json": {"topic": "acme", "segment_targets": ["docs"]}},
        ("POST", "/retrieve"): {
            "json": {"topic": "acme", "segment": "docs"},
            "params": {"ticker": "rope"},
        },
        ("POST", "/upload"): {"data": ACME, "files": {"files": ("rope.txt", b"A rope.")}},
        ("GET", "/upload/status"): {"params": {"job_id": things.job_id}},
        ("GET", "/files"): {"params": ACME},
        ("GET", "/files/chunks"): {"params": one},
        ("GET", "/cards"): {"params": one},
        ("GET", "/file-summary"): {"params": one},
        ("DELETE", "/files"): {"params": one},
        ("GET", "/metrics"): {},
        ("GET", "/collections"): {},
        ("GET", "/documents"): {"params": {"collection": "acme/docs"}},
        ("POST", "/documents/retry"): {"json": {"collection": "acme/docs"}},
        ("GET", "/documents/{document_id}/passage"): {},
        ("GET", "/documents/{document_id}/pages/{page}.png"): {},
        ("GET", "/system"): {},
    }
    requests |= {each: {"json": {}} if each[0] == "POST" else {} for each in OF_PROVIDERS}
    method, path = operation
    provider = TABLE[path.split("/")[1]][0].id if operation in OF_PROVIDERS else ""
    path = path.format(document_id=things.document_id, page=1, provider_id=provider)
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return api.client.request(method, path, headers=headers, **requests[operation])


@pytest.fixture
def things(api: Api) -> Things:
    """An uploaded, searchable file, a job and a query of acme's."""
    job_id = api.upload(("rope.txt", b"A rope."), ("page.pdf", PAGE)).json()["job_id"]
    api.ingest_uploads()
    listed = api.client.get("/documents", params={"collection": "acme/docs", "q": "page.pdf"})
    (document,) = listed.json()["documents"]
    return Things(api.ask("rope").json()["query_id"], job_id, document["document_id"])


def shape(answer: Any) -> tuple[int, Any]:
    """An answer without what differs in every request."""
    body = answer.json()
    body.get("info", {}).pop("request_id", None)
    return answer.status_code, body


def test_every_route_of_the_application_declares_a_policy(api: Api) -> None:
    app = build_app(api.service)
    served = {
        (method, route.path)
        for route in app.routes
        if isinstance(route, APIRoute)
        for method in route.methods
    }
    documented = {
        (method.upper(), path) for path, item in app.openapi()["paths"].items() for method in item
    }

    assert served == documented == set(OPERATIONS)
    assert all(isinstance(route.need, Need) for route in ROUTES)


@pytest.mark.parametrize("operation", OWN)
def test_the_owner_gets_in(api: Api, things: Things, operation: tuple[str, str]) -> None:
    answer = request_of(api, operation, things, api.key("acme", "admin"))

    assert answer.status_code == EXPECTED_OF_OWNER.get(operation, 200), answer.text


@pytest.mark.parametrize("operation", [each for each in GUARDED if each not in UNSCOPED])
def test_a_foreigner_sees_what_is_not_there(
    api: Api, things: Things, operation: tuple[str, str]
) -> None:
    foreign = api.key("globex", "admin")
    other_collection = api.key("acme", "admin", "other")

    answers = [
        shape(request_of(api, operation, things, key)) for key in (foreign, other_collection)
    ]
    if operation in SAYS_WHAT_IS_MISSING:
        assert {status for status, _ in answers} == {400}
        return
    assert {status for status, _ in answers} == {404}

    # the same request when the things do not exist, from their owner
    owner = api.key("acme", "admin")
    api.conn.execute("delete from collection")
    if operation not in MAKES:
        assert shape(request_of(api, operation, things, owner)) == answers[0] == answers[1]


@pytest.mark.parametrize("kind", ["missing", "forged", "revoked", "expired", "not a key"])
def test_without_a_valid_key_every_route_answers_alike(api: Api, things: Things, kind: str) -> None:
    key = invalid_keys(api)[kind]

    answers = {each: request_of(api, each, things, key) for each in GUARDED}

    assert {each: answer.status_code for each, answer in answers.items()} == {
        each: 401 for each in GUARDED
    }
    assert {answer.headers["www-authenticate"] for answer in answers.values()} == {"Bearer"}
    without = shape(request_of(api, GUARDED[0], things, None))
    assert [each for each in GUARDED if shape(answers[each]) != without] == []


def invalid_keys(api: Api) -> dict[str, str | None]:
    """Keys that open nothing, each for another reason."""
    revoked, good = api.key("acme", "admin"), api.key("acme", "admin")
    access.revoke_key(api.conn, revoked.partition(".")[0])
    past = datetime.now(UTC) - timedelta(seconds=1)
    expired = access.create_key(api.conn, KeyScope("acme", "admin"), past)
    return {
        "missing": None,
        "forged": good[:-4] + "AAAA",
        "revoked": revoked,
        "expired": expired,
        "not a key": "x" * 5000,
    }


@pytest.mark.parametrize("operation", OWN)
def test_a_role_reaches_as_far_as_the_policy_says(
    api: Api, things: Things, operation: tuple[str, str]
) -> None:
    need = next(route.need for route in ROUTES if (route.method, route.path) == operation)

    with_read = request_of(api, operation, things, api.key("acme", "read")).status_code
    with_write = request_of(api, operation, things, api.key("acme", "write")).status_code

    assert with_read == (200 if need is Need.READ else 403)
    assert with_write == (403 if need is Need.OPERATOR else 200)


@pytest.mark.parametrize("role", ["read", "write", "admin"])
def test_providers_are_shown_to_every_key_and_tried_for_operators_only(
    api: Api, things: Things, role: str
) -> None:
    key = api.key("acme", role)

    answers = {
        each: request_of(api, each, things, key).status_code for each in sorted(OF_PROVIDERS)
    }

    assert len(answers) == 20
    assert answers == {each: EXPECTED_OF_OWNER.get(each, 200) for each in answers}


def test_an_operators_key_opens_all_namespaces_and_the_metrics(api: Api, things: Things) -> None:
    key = api.key(None, "admin")

    for operation in sorted(GUARDED, reverse=True):  # the deletion comes last
        assert request_of(api, operation, things, key).status_code == 200


@pytest.mark.parametrize("role", ["read", "write"])
@pytest.mark.parametrize("action", ["create", "delete"])
def test_an_operators_key_that_is_no_admins_leaves_topics_alone(
    api: Api, role: str, action: str
) -> None:
    headers = {"X-API-Key": api.key(None, role)}
    body = {"topic": "acme", "topic_action": action}

    answer = api.client.post("/api/topic", json=body, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert api.client.get("/collections", headers=headers).json()["collections"] != []


@pytest.mark.parametrize(("role", "is_seen"), [("read", False), ("write", False), ("admin", True)])
def test_of_documents_with_an_access_list_admins_see_all(
    api: Api, role: str, is_seen: bool
) -> None:
    api.acme.source.put("board.txt", b"The board's rope.")
    api.acme.source.put("board.txt.acl.json", b'{"principals": ["board"]}')
    api.acme.run()

    listed = api.client.get("/files", params=ACME, headers={"X-API-Key": api.key("acme", role)})
    assert (listed.json()["filenames"] == ["board.txt"]) is is_seen


def test_the_key_header_of_the_original_works_too(api: Api, things: Things) -> None:
    headers = {"X-API-Key": api.key()}

    assert api.ask("rope", headers=headers).status_code == 200


def test_the_open_routes_stay_open(api: Api) -> None:
    api.key()

    answers = {r.path: api.client.get(r.path).status_code for r in ROUTES if r.need is Need.PUBLIC}
    assert answers == {"/health": 200, "/livez": 200, "/readyz": 200}
    assert api.client.get("/secrets").status_code == 401


def test_revoking_the_last_key_does_not_open_the_door(api: Api, things: Things) -> None:
    key = api.key()
    access.revoke_key(api.conn, key.partition(".")[0])

    assert api.ask("rope").status_code == 401


def test_a_key_is_kept_as_a_hash_only(api: Api) -> None:
    key = api.key()

    (row,) = api.conn.execute("select * from api_key").fetchall()
    assert bytes(row["key_hash"]) == hashlib.sha256(key.encode()).digest()
    secret = key.partition(".")[2]
    assert len(secret) >= 43  # 256 bits in base64
    assert not any(secret in str(value) for value in row.values())


def test_revoking_what_is_not_there_is_said(api: Api) -> None:
    with pytest.raises(NotFoundError):
        access.revoke_key(api.conn, "rag_none")


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "attacker.example"},
        {"origin": "https://attacker.example"},
        {"origin": "null"},
        {"host": "127.0.0.1.attacker.example"},
    ],
)
def test_without_keys_a_web_page_of_others_does_not_get_in(api: Api, headers: Any) -> None:
    assert api.client.get("/files", params=ACME, headers=headers).status_code == 401


def test_without_keys_the_service_does_not_listen_to_the_network(make_api: MakeApi) -> None:
    with pytest.raises(Exception) as caught:
        make_api(host="0.0.0.0")

    assert "open_to_the_network" in getattr(caught.value, "code", "") or (
        "No API key exists" in str(caught.value)
    )


def test_the_rate_of_a_key_is_limited_and_others_are_not(make_api: MakeApi) -> None:
    api = make_api(requests_per_minute=6)
    wait_until_warm(api)
    busy, calm = ({"X-API-Key": api.key("acme")} for _ in range(2))

    answers = [api.ask("rope", headers=busy) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 429]
    assert 1 <= int(answers[1].headers["retry-after"]) <= 10
    assert api.ask("rope", headers=calm).status_code == 200
