"""Clients of the session's object store."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rag.sources.s3 import S3Client, s3_client
from rag.stack.object_store import S3Server
from rag_assets_tests.sources.stub_store import StubStore, serve


@pytest.fixture(scope="session")
def s3_connection(s3_server: S3Server) -> S3Client:
    """A client that is signed in; making one takes half a second, so one serves all tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3_server.environment().items():
            patch.setenv(name, value)
        return s3_client(s3_server.endpoint_url, s3_server.region)


@pytest.fixture(scope="session")
def _stub_server() -> Iterator[StubStore]:
    with serve() as store:
        yield store


@pytest.fixture(scope="session")
def _stub_client(_stub_server: StubStore) -> S3Client:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "any")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "any")
        return s3_client(
            _stub_server.endpoint_url, "us-east-1", read_timeout_s=0.4, connect_timeout_s=1
        )


@pytest.fixture
def stub(_stub_server: StubStore) -> StubStore:
    """A store that does as the test says, empty and well."""
    _stub_server.reset()
    return _stub_server


@pytest.fixture
def stub_client(_stub_client: S3Client, monkeypatch: pytest.MonkeyPatch) -> S3Client:
    """Its client, which does not wait between its retries."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", _no_delay)
    return _stub_client


def _no_delay(*_: object) -> float:
    return 0.0
