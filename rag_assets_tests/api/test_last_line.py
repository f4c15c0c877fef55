"""Row-level security, the last line: with every check and every condition of ours forgotten, a key
of one namespace is still told nothing of another."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rag.api.app import ROUTES
from rag.api.principal import Need, Principal
from rag.api.providers import TABLE
from rag.model import CollectionName
from rag.store import access, hints, query_log
from rag.store.queries import statements
from rag_assets_tests.api.conftest import PAGE, Api
from rag_assets_tests.fakes_source import FakeSource
from rag_assets_tests.ingest.harness import Harness

pytestmark = pytest.mark.slow

# a name that globex alone has: whoever forgets the namespace finds globex's
VAULT = {"user_id": "acme", "project_id": "vault"}
READ = ("collections", "documents", "files", "lookup", "reading", "standing")
SCOPES = re.compile(
    r"namespace\.name = %\(namespace\)s"
    r"|(collection\.id|document\.collection_id) = (any\()?%\(collection_ids?\)s\)?"
)


@dataclass(frozen=True)
class Secrets:
    """What globex has, by its ids."""

    document_id: int
    job_id: str


@pytest.fixture
def secrets(api: Api, database_url: str, tmp_path: Path) -> Secrets:
    api.acme.source.put("a.txt", b"acme's rope")
    api.acme.run()
    name = CollectionName("globex", "vault")
    vault = Harness(api.conn, database_url, tmp_path / "v", name, FakeSource("fake://globex/"))
    vault.source.put("globex.txt", b"globex's secret rope")
    sent = {"user_id": "globex", "project_id": "vault"}
    job = api.client.post("/upload", data=sent, files={"files": ("globex.pdf", PAGE)}).json()
    vault.others[api.service.bucket.source_uri(name)] = _uploads(api, name)
    vault.run()
    listed = api.client.get("/documents", params={"collection": "globex/vault", "q": "globex.pdf"})
    (document,) = listed.json()["documents"]
    return Secrets(document["document_id"], job["job_id"])


def _uploads(api: Api, name: CollectionName) -> Any:
    from rag.sources.s3 import S3Source

    return S3Source(api.service.bucket.source_uri(name), api.service.bucket._ready())


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Forget every scope, in code and in statements; says how many statements had one."""

    def forget() -> int:
        monkeypatch.setattr(Principal, "may_open", lambda *_: True)
        # an answer to no logged query is refused by the log, not by a check
        monkeypatch.setattr(query_log, "record_answer", lambda *_: None)
        count = 0
        for group in READ:
            for name, text in statements(group).items():
                without = SCOPES.sub("true", text)
                count += without != text
                monkeypatch.setitem(statements(group), name, without)  # type: ignore[arg-type]
        return count

    return forget


def requests_for(secrets: Secrets) -> dict[tuple[str, str], dict[str, Any]]:
    """Of every route that reads: what finds globex's things once nothing is checked."""
    asked = {"json": {"query": "secret rope", "collection": "acme/vault"}}
    message = {"role": "user", "content": "secret rope"}
    one = {"params": {**VAULT, "filename": "globex.txt"}}
    return {
        ("POST", "/query"): asked,
        ("POST", "/rag"): asked,
        ("POST", "/v1/chat/completions"): {
            "json": {"model": "acme/vault", "messages": [message]}
        },
        ("GET", "/v1/models"): {},
        ("POST", "/retrieve"): {
            "json": {"topic": "acme", "segment": "vault"}, "params": {"ticker": "globex"}
        },
        ("GET", "/upload/status"): {"params": {"job_id": secrets.job_id}},
        ("GET", "/files"): {"params": VAULT},
        ("GET", "/files/chunks"): one,
        ("GET", "/cards"): {"params": VAULT},
        ("GET", "/file-summary"): one,
        ("GET", "/collections"): {},
        ("GET", "/documents"): {"params": {"collection": "acme/vault"}},
        ("GET", "/documents/{document_id}/passage"): {},
        ("GET", "/documents/{document_id}/pages/{page}.png"): {},
        ("GET", "/system"): {},
        ("POST", "/mcp"): {"json": {
            "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
                "name": "get_document",
                "arguments": {"collection": "acme/vault", "document": "globex.txt"},
            },
        }},
    }  # fmt: skip


def told(api: Api, secrets: Secrets, key: str) -> dict[tuple[str, str], bool]:
    """For each route: whether the key is told anything of globex."""
    answers = {}
    headers = {"X-API-Key": key, "Accept": "application/json, text/event-stream"}
    for (method, path), request in requests_for(secrets).items():
        where = path.format(document_id=secrets.document_id, page=1)
        answer = api.client.request(method, where, headers=headers, **request)
        is_picture = answer.headers["content-type"] == "image/png"
        answers[method, path] = is_picture or "globex" in answer.text
    return answers


def test_every_reading_route_is_tried() -> None:
    reading = {
        (route.method, route.path)
        for route in ROUTES
        if route.need is Need.READ and route.path.split("/")[1] not in TABLE
    }

    tried = set(requests_for(Secrets(1, "")))
    assert tried - {("POST", "/mcp")} == reading - {
        ("POST", "/v1/embeddings"),
        ("POST", "/feedback"),
    }


def test_what_forgets_its_scope_tells_nothing_of_another_namespace(
    api: Api, secrets: Secrets, forgetful: Callable[[], int]
) -> None:
    key = api.key("acme", "admin")
    assert api.service.reads_as_reader()

    assert forgetful() > 10
    assert [route for route, is_told in told(api, secrets, key).items() if is_told] == []


def test_without_row_level_security_it_would(
    api: Api, secrets: Secrets, forgetful: Callable[[], int]
) -> None:
    """The control: the same statements as the owner."""
    key = api.key("acme", "admin")
    api.service._as_reader = False

    forgetful()
    assert [route for route, is_told in told(api, secrets, key).items() if not is_told] == []


def test_nothing_is_told_while_the_scopes_hold(api: Api, secrets: Secrets) -> None:
    api.service._as_reader = False

    assert not any(told(api, secrets, api.key("acme", "admin")).values())


# -- the role itself --

READ_TABLES = ("collection", "generation", "search_row", "publication", "segment", "posting",
               "document", "document_version", "document_status", "parsed", "chunk_set", "chunk",
               "source", "hint", "dead_letter", "stage_run", "upload_job", "upload_file",
               "namespace")  # fmt: skip


@pytest.fixture
def two_tenants(api: Api) -> Api:
    for tenant in (api.acme, api.globex):
        name = tenant.name.namespace
        tenant.source.put(f"{name[0]}.txt", f"{name}'s rope".encode())
        tenant.source.put("broken.txt", b"BROKEN")
        tenant.run()
        hints.add_hints(api.conn, [f"{tenant.source.uri}late.txt"])
        api.upload(("u.txt", b"A rope."), user_id=name)
    return api


def rows_of(api: Api, table: str, namespace: str | None) -> int:
    """How many a statement without any condition finds: as the reader, or as the owner."""
    with api.conn.transaction():
        if namespace is not None:
            access.become_reader(api.conn, namespace)
        row = api.conn.execute(f"select count(*) as rows from {table}".encode()).fetchone()
    assert row is not None
    return int(row["rows"])


@pytest.mark.parametrize("table", READ_TABLES)
def test_a_reader_sees_one_namespaces_rows_even_without_a_condition(
    two_tenants: Api, table: str
) -> None:
    acme, globex = rows_of(two_tenants, table, "acme"), rows_of(two_tenants, table, "globex")

    assert acme == globex > 0
    assert rows_of(two_tenants, table, "nobody") == 0
    assert rows_of(two_tenants, table, None) == acme + globex


@pytest.mark.parametrize("table", [name for name in READ_TABLES if name != "namespace"])
def test_a_reader_without_a_namespace_gets_an_error(two_tenants: Api, table: str) -> None:
    conn = two_tenants.conn
    with pytest.raises(psycopg.errors.InsufficientPrivilege), conn.transaction():
        conn.execute("set local role rag_reader")
        conn.execute(f"select * from {table}".encode())


@pytest.mark.parametrize(
    "statement", ["select * from api_key", "select query from query_log", "delete from chunk"]
)
def test_a_reader_can_read_no_more_than_search_needs(two_tenants: Api, statement: str) -> None:
    conn = two_tenants.conn
    with pytest.raises(psycopg.errors.InsufficientPrivilege), conn.transaction():
        access.become_reader(conn, "acme")
        conn.execute(statement.encode())


def test_the_readers_role_is_harmless(two_tenants: Api) -> None:
    row = two_tenants.conn.execute(
        "select rolsuper, rolbypassrls, rolcanlogin, rolcreaterole,"
        " exists (select from pg_class where relowner = pg_roles.oid) as owns"
        " from pg_roles where rolname = 'rag_reader'"
    ).fetchone()

    assert row is not None and not any(row.values())


def test_the_role_ends_with_the_transaction_even_after_an_error(two_tenants: Api) -> None:
    database = two_tenants.service.database
    for _ in range(6):  # each pooled connection has been through it
        with pytest.raises(ZeroDivisionError), database.reading("acme", as_reader=True):
            raise ZeroDivisionError
    with database.connection() as conn:
        row = conn.execute(
            "select current_user = session_user as is_own,"
            " coalesce(current_setting('rag.namespace', true), '') as scope"
        ).fetchone()

    assert row == {"is_own": True, "scope": ""}


def test_searches_run_as_the_reader(two_tenants: Api) -> None:
    two_tenants.conn.execute("revoke select on chunk from rag_reader")

    assert two_tenants.ask("rope").status_code != 200
