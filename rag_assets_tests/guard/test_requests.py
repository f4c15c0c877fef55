"""How many requests the object store gets: one per page of a listing and one per object read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rag.ingest.pipeline import bring_up_to_date
from rag.sources.s3 import S3Client, S3Source, s3_client
from rag.stack.object_store import S3Server
from rag.store.database import Connection
from rag_assets_tests.fakes_source import FakeSource
from rag_assets_tests.guard.work import page
from rag_assets_tests.ingest.harness import Harness

pytestmark = pytest.mark.slow

BUCKET = "guard"
OBJECTS = 30


@pytest.fixture
def client(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Client:
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    made = s3_client(s3_server.endpoint_url, s3_server.region)
    made.create_bucket(Bucket=BUCKET)
    return made


@pytest.fixture
def requests(client: S3Client) -> Iterator[Counter[str]]:
    """Requests by operation, from now on."""
    sent: Counter[str] = Counter()

    def count(event_name: str, **_: Any) -> None:
        sent[event_name.rpartition(".")[2]] += 1

    client.meta.events.register("before-send.s3", count)
    yield sent
    client.meta.events.unregister("before-send.s3", count)


@pytest.fixture
def update(
    conn: Connection, database_url: str, tmp_path: Path, client: S3Client
) -> Callable[[], None]:
    """Bring the collection up to date with the bucket."""
    harness = Harness(conn, database_url, tmp_path, source=FakeSource(f"s3://{BUCKET}/"))

    def run() -> None:
        shop = replace(harness.shop(), open_source=lambda uri: S3Source(uri, client))
        bring_up_to_date(shop, harness.shard)

    return run


def test_requests_are_those_of_what_changed(
    client: S3Client, requests: Counter[str], update: Callable[[], None]
) -> None:
    for number in range(OBJECTS):
        client.put_object(Bucket=BUCKET, Key=f"page-{number:03}.txt", Body=page(number))
    requests.clear()
    update()
    assert requests["GetObject"] == OBJECTS
    looking = requests.total() - OBJECTS
    assert 0 < looking <= 3
    requests.clear()
    update()
    assert 0 < requests.total() <= looking
    assert requests["GetObject"] == 0
    client.put_object(Bucket=BUCKET, Key="page-003.txt", Body=page(3, " It was oiled."))
    requests.clear()
    update()
    assert (requests["GetObject"], requests.total()) == (1, looking + 1)
