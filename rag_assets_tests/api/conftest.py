"""A service over real Postgres and a real object store, as tests call it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from rag.api.app import build_app
from rag.api.bucket import Bucket
from rag.api.pages import PageImages
from rag.api.pool import Database
from rag.api.service import Service
from rag.api.warmth import WarmEmbedder
from rag.model import CollectionName
from rag.settings import Settings
from rag.sources.s3 import S3Client, S3Source
from rag.stack.object_store import S3Server
from rag.store import access
from rag.store.access import KeyScope
from rag.store.database import Connection
from rag_assets_tests.answer.loopback import Loopback, loopback_model
from rag_assets_tests.fakes_embed import FakeEmbedder
from rag_assets_tests.fakes_source import FakeSource
from rag_assets_tests.ingest.harness import Harness

GLOBEX = CollectionName("globex", "docs")
LOCAL_URL = "http://127.0.0.1"
ACME = {"user_id": "acme", "project_id": "docs"}
# a PDF of one page that is text, too, so that the fake parser reads it
PAGE = b"""%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 100]/Contents 4 0 R
/Resources<</Font<</F1 5 0 R>>>>>>endobj
4 0 obj<</Length 71>>stream
BT /F1 12 Tf 20 50 Td (The pump is tested on each monday at noon) Tj ET
endstream endobj
5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj
trailer<</Root 1 0 R>>
%%EOF"""


@dataclass
class Api:
    """A running service: its client, its parts, and collections to fill."""

    client: TestClient
    service: Service
    conn: Connection
    acme: Harness
    globex: Harness

    def key(
        self, namespace: str | None = "acme", role: Any = "read", *collections: str,
        principals: tuple[str, ...] = (),
    ) -> str:  # fmt: skip
        """A new key."""
        scope = KeyScope(namespace, role, collections or None, principals)
        return access.create_key(self.conn, scope, None)

    def ask(self, query: str, **more: Any) -> Any:
        """POST /query of acme/docs."""
        headers = more.pop("headers", {})
        body = {"query": query, "collection": "acme/docs", **more}
        return self.client.post("/query", json=body, headers=headers)

    def upload(self, *named: tuple[str, bytes], headers: Any = None, **form: str) -> Any:
        """POST /upload to acme/docs."""
        files = [("files", one) for one in named]
        return self.client.post("/upload", data={**ACME, **form}, files=files, headers=headers)

    def status(self, job_id: str) -> Any:
        """GET /upload/status."""
        return self.client.get("/upload/status", params={"job_id": job_id}).json()

    def ingest_uploads(self) -> None:
        """What a run of the collection does, with its uploads as a source."""
        self.know_uploads()
        self.acme.run()

    def know_uploads(self) -> None:
        """Uploads as a source of the collection's runs."""
        uri = self.service.bucket.source_uri(self.acme.name)
        self.acme.others[uri] = S3Source(uri, self.service.bucket._ready())  # type: ignore[assignment]


MakeApi = Callable[..., Api]


@pytest.fixture
def make_api(
    conn: Connection, database_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[MakeApi]:
    """Start a service; `settings` are those of Settings, `api_` left out."""
    running: list[TestClient] = []

    def make(*, embedder: Any = None, base_url: str = LOCAL_URL, **settings: Any) -> Api:
        chosen = {
            "upload_bucket": f"uploads-{uuid.uuid4().hex[:12]}",
            "pool_size": 4,
            "key_memory_s": 0,
            **settings,
        }
        options = Settings(**{_full_name(name): value for name, value in chosen.items()})
        service = Service(
            options,
            Database(database_url, options),
            WarmEmbedder(embedder or FakeEmbedder),
            Bucket(options.api_upload_bucket, lambda: _s3(request)),
            PageImages(lambda uri: S3Source(uri, _s3(request))),
            "acme/bag-of-words",
        )
        client = TestClient(build_app(service), base_url=base_url, raise_server_exceptions=False)
        client.__enter__()
        running.append(client)
        other = FakeSource("fake://other/")
        return Api(
            client,
            service,
            conn,
            Harness(conn, database_url, tmp_path / "acme"),
            Harness(conn, database_url, tmp_path / "globex", name=GLOBEX, source=other),
        )

    yield make
    for client in running:
        client.__exit__(None, None, None)


@pytest.fixture
def api(make_api: MakeApi) -> Api:
    """A service that is ready, without any key."""
    made = make_api()
    wait_until_warm(made)
    return made


def _full_name(name: str) -> str:
    return name if name in Settings.model_fields else f"api_{name}"


def wait_until_warm(api: Api) -> None:
    """Return when the service says so."""
    import time

    deadline = time.monotonic() + 30
    while api.client.get("/readyz").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _s3(request: pytest.FixtureRequest) -> S3Client:
    server: S3Server = request.getfixturevalue("s3_server")
    from boto3.session import Session

    return Session().client(
        "s3", endpoint_url=server.endpoint_url, region_name=server.region,
        aws_access_key_id=server.access_key, aws_secret_access_key=server.secret_key,
    )  # fmt: skip


@pytest.fixture
def model() -> Iterator[Loopback]:
    """A language model on this machine that cites the first passage."""
    with loopback_model() as state:
        state.say = lambda messages: "The haul rope is inspected every month [1]."
        yield state
