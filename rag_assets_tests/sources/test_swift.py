"""The suite against a second, independent object store, which checks signatures."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.errors import ConfigurationError, UnavailableError
from rag.sources.s3 import S3Client, S3Source, s3_client
from rag.stack.object_store import S3Server
from rag_assets_tests.sources.conformance import SelectiveSourceConformance, only
from rag_assets_tests.sources.places import BucketPlace
from rag_assets_tests.sources.swift_server import swift_server

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def swift() -> Iterator[S3Server]:
    with (
        tempfile.TemporaryDirectory(prefix="rag-swift-") as folder,
        swift_server(Path(folder)) as server,
    ):
        yield server


@pytest.fixture(scope="module")
def swift_client(swift: S3Server) -> S3Client:
    return _client(swift, swift.access_key, swift.secret_key)


class TestSwift(SelectiveSourceConformance):
    @pytest.fixture
    def place(self, swift_client: S3Client) -> BucketPlace:
        return BucketPlace.create(swift_client)


class TestSwiftVersioned(SelectiveSourceConformance):
    @pytest.fixture
    def place(self, swift_client: S3Client) -> BucketPlace:
        return BucketPlace.create(swift_client, versioned=True)


@pytest.mark.parametrize(
    ("access_key", "secret_key"), [("test:tester", "wrong"), ("test:nobody", "testing")]
)
def test_wrong_credentials_are_named_when_listing_and_transient_when_fetching(
    swift: S3Server, swift_client: S3Client, tmp_path: Path, access_key: str, secret_key: str
) -> None:
    place = BucketPlace.create(swift_client)
    place.put("a.txt", b"text")
    obj = only(place.source())
    stranger = S3Source(f"s3://{place.bucket}/docs/", _client(swift, access_key, secret_key))
    with pytest.raises(ConfigurationError, match="AWS_SECRET_ACCESS_KEY") as refused:
        stranger.list()
    assert refused.value.code == "s3_credentials"
    assert secret_key not in refused.value.message
    with pytest.raises(UnavailableError) as unfetched:
        stranger.fetch(obj, tmp_path / "got")
    assert unfetched.value.code == "s3_credentials"


def test_a_missing_bucket_is_a_configuration_error(swift_client: S3Client) -> None:
    with pytest.raises(ConfigurationError) as caught:
        S3Source("s3://no-such-bucket/docs/", swift_client).list()
    assert caught.value.code == "bucket_not_found"


def _client(server: S3Server, access_key: str, secret_key: str) -> S3Client:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", access_key)
        patch.setenv("AWS_SECRET_ACCESS_KEY", secret_key)
        return s3_client(server.endpoint_url, server.region)
