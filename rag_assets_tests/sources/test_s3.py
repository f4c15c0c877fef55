"""An S3 source when the store is unwell, and what only S3 has: versions, markers, pages."""

from __future__ import annotations

import io
import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from rag.errors import ConfigurationError, TransientError, UnavailableError
from rag.model import SourceObject
from rag.sources.s3 import S3Client, S3Source, s3_client
from rag_assets_tests.sources.conformance import names_of, only
from rag_assets_tests.sources.places import BucketPlace
from rag_assets_tests.sources.stub_store import STALL_S, Fault, Refusal, StubStore

pytestmark = pytest.mark.slow

SLOW_DOWN = Refusal(503, "SlowDown")
BROKEN = Refusal(500, "InternalError")
DATA = b"some text, " * 10_000


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault.CUT, "object_truncated"),
        (Fault.SHORT, "object_truncated"),
        (Fault.FLIP, "object_corrupt"),
        (Fault.SWAP, "object_changed"),
        (Fault.STALL, "s3_unreachable"),
        (Refusal(404, "NoSuchKey"), "object_gone"),
        (Refusal(404, "NoSuchVersion"), "object_gone"),
        (Refusal(412, "PreconditionFailed"), "object_changed"),
        (Refusal(403, "AccessDenied"), "s3_credentials"),
    ],
)
def test_a_fetch_that_goes_wrong_is_transient_and_leaves_no_file(
    stub: StubStore,
    stub_client: S3Client,
    tmp_path: Path,
    fault: Fault | Refusal,
    code: str,
) -> None:
    stub.objects = {"a.txt": DATA}
    source = S3Source("s3://bucket/", stub_client)
    obj = only(source)
    stub.script = [fault]
    with pytest.raises(TransientError) as caught:
        source.fetch(obj, tmp_path / "got")
    assert caught.value.code == code
    assert "\n" not in caught.value.message
    assert list(tmp_path.iterdir()) == []
    source.fetch(obj, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == DATA


def test_a_stall_ends_with_the_read_time_out(
    stub: StubStore, stub_client: S3Client, tmp_path: Path
) -> None:
    stub.objects = {"a.txt": DATA}
    source = S3Source("s3://bucket/", stub_client)
    obj = only(source)
    stub.script = [Fault.STALL]
    started = time.monotonic()
    with pytest.raises(UnavailableError):
        source.fetch(obj, tmp_path / "got")
    assert time.monotonic() - started < STALL_S / 2


def test_a_transfer_that_drips_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(step=45.0)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    answer = {"ETag": "1", "ContentLength": 10, "Body": io.BytesIO(b"0123456789")}
    monkeypatch.setattr("rag.sources.s3.BLOCK_BYTES", 1)
    source = S3Source("s3://bucket/", SimpleNamespace(get_object=lambda **_: answer))
    obj = SourceObject("s3://bucket/a.txt", "1", 10, datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(UnavailableError, match="60 s") as caught:
        source.fetch(obj, tmp_path / "got")
    assert caught.value.code == "s3_unreachable"
    assert list(tmp_path.iterdir()) == []


def test_refusals_for_now_are_tried_again_a_few_times_only(
    stub: StubStore, stub_client: S3Client, tmp_path: Path
) -> None:
    stub.objects = {"a.txt": DATA}
    source = S3Source("s3://bucket/", stub_client)
    obj = only(source)
    stub.script = [SLOW_DOWN, BROKEN]
    source.fetch(obj, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == DATA
    stub.calls, stub.script = [], [SLOW_DOWN] * 20
    with pytest.raises(UnavailableError) as caught:
        source.fetch(obj, tmp_path / "got")
    assert caught.value.code == "s3_unreachable"
    assert 2 <= len(stub.calls) <= 5


@pytest.mark.parametrize(
    "faults", [[Refusal(403, "AccessDenied")], [BROKEN] * 20, [Fault.CUT] * 20], ids=repr
)
def test_an_error_after_the_first_page_gives_what_was_read(
    stub: StubStore, stub_client: S3Client, faults: list[Fault | Refusal | None]
) -> None:
    stub.objects = {f"{number}.txt": b"text" for number in range(5)}
    stub.script = [None, *faults]
    listing = S3Source("s3://bucket/", stub_client).list()
    assert not listing.is_complete
    assert [obj.uri for obj in listing.objects] == ["s3://bucket/0.txt", "s3://bucket/1.txt"]
    stub.script = []
    assert len(names_of(S3Source("s3://bucket/", stub_client))) == 5


def test_a_page_that_promises_more_but_not_where_is_incomplete(
    stub: StubStore, stub_client: S3Client
) -> None:
    stub.objects = {"a.txt": b"text"}
    stub.script = [Fault.TRUNCATED_WITHOUT_TOKEN]
    assert not S3Source("s3://bucket/", stub_client).list().is_complete


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        (Refusal(404, "NoSuchBucket"), ConfigurationError, "bucket_not_found"),
        (Refusal(403, "SignatureDoesNotMatch"), ConfigurationError, "s3_credentials"),
        (Refusal(403, "AccessDenied"), ConfigurationError, "s3_credentials"),
        (Refusal(301, "PermanentRedirect"), ConfigurationError, "s3_region"),
        (BROKEN, UnavailableError, "s3_unreachable"),
        (SLOW_DOWN, UnavailableError, "s3_unreachable"),
    ],
)
def test_a_listing_that_gives_nothing_says_what_to_do(
    stub: StubStore,
    stub_client: S3Client,
    fault: Refusal,
    kind: type[Exception],
    code: str,
) -> None:
    stub.script = [fault] * 20
    with pytest.raises(kind) as caught:
        S3Source("s3://bucket/", stub_client).list()
    assert caught.value.code == code  # type: ignore[attr-defined]
    assert "\n" not in str(caught.value)


def test_a_store_that_does_not_listen_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    client = s3_client("http://127.0.0.1:9", "us-east-1", attempts=1, connect_timeout_s=0.5)
    with pytest.raises(UnavailableError, match="RAG_S3_ENDPOINT_URL") as caught:
        S3Source("s3://bucket/", client).list()
    assert caught.value.code == "s3_unreachable"


def test_absent_credentials_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(ConfigurationError, match="AWS_ACCESS_KEY_ID") as caught:
        S3Source("s3://bucket/", s3_client("http://127.0.0.1:9", "us-east-1")).list()
    assert caught.value.code == "s3_credentials"


def test_a_missing_bucket_is_a_configuration_error(s3_connection: S3Client) -> None:
    with pytest.raises(ConfigurationError, match="no-such-bucket") as caught:
        S3Source("s3://no-such-bucket/docs/", s3_connection).list()
    assert caught.value.code == "bucket_not_found"


def test_folder_markers_are_no_documents(s3_connection: S3Client) -> None:
    place = BucketPlace.create(s3_connection)
    for name in ("", "sub/", "sub/a.txt"):
        place.put(name, b"")
    assert names_of(place.source()) == {"sub/a.txt"}


def test_an_address_without_a_last_slash_is_the_object_and_what_is_below(
    s3_connection: S3Client,
) -> None:
    place = BucketPlace.create(s3_connection)
    for name in ("a.pdf", "a.pdf.bak", "a.pdf/page", "b.pdf"):
        place.put(name, b"text")
    source = S3Source(f"s3://{place.bucket}/docs/a.pdf", place.client)
    assert {obj.uri.rpartition("/docs/")[2] for obj in source.list().objects} == {
        "a.pdf",
        "a.pdf/page",
    }


def test_a_listing_stops_at_the_most_objects_and_is_incomplete(s3_connection: S3Client) -> None:
    place = BucketPlace.create(s3_connection)
    for number in range(4):
        place.put(f"{number}.txt", b"text")
    uri = f"s3://{place.bucket}/docs/"
    few = S3Source(uri, place.client, max_objects=3).list()
    assert (len(few.objects), few.is_complete) == (3, False)
    enough = S3Source(uri, place.client, max_objects=4).list()
    assert (len(enough.objects), enough.is_complete) == (4, True)


def test_larger_objects_than_wanted_are_left_out(s3_connection: S3Client) -> None:
    place = BucketPlace.create(s3_connection)
    place.put("small.txt", b"12")
    place.put("large.txt", b"123")
    source = place.source(max_bytes=2)
    assert names_of(source) == {"small.txt"}


def test_a_versioned_bucket_gives_the_listed_version_after_an_overwrite_and_a_deletion(
    s3_connection: S3Client, tmp_path: Path
) -> None:
    place = BucketPlace.create(s3_connection, versioned=True)
    source = place.source()
    place.put("a.txt", b"old text")
    obj = only(source)
    place.put("a.txt", b"new text")
    place.delete("a.txt")
    assert source.list().objects == ()
    source.fetch(obj, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == b"old text"


def test_objects_from_before_versioning_keep_their_identity(s3_connection: S3Client) -> None:
    place = BucketPlace.create(s3_connection)
    place.put("a.txt", b"text")
    before = only(place.source())
    place.client.put_bucket_versioning(
        Bucket=place.bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    assert only(place.source()) == before


@pytest.mark.parametrize("call", ["GetBucketVersioning", "ListObjectVersions"])
@pytest.mark.parametrize("code", ["AccessDenied", "NotImplemented"])
def test_a_store_that_keeps_its_versions_to_itself_is_listed_without_them(
    s3_connection: S3Client, call: str, code: str
) -> None:
    from botocore.exceptions import ClientError

    place = BucketPlace.create(s3_connection, versioned=True)
    place.put("a.txt", b"text")
    asked = []

    def refuse(**_: object) -> None:
        asked.append(call)
        raise ClientError({"Error": {"Code": code}}, call)

    place.client.meta.events.register(f"before-call.s3.{call}", refuse)
    try:
        source = place.source()
        assert names_of(source) == {"a.txt"}
        assert only(source).version is None
    finally:
        place.client.meta.events.unregister(f"before-call.s3.{call}", refuse)
    assert len(asked) == 1  # the answer is remembered
    assert only(place.source()).version is not None


def test_a_throttled_versioning_question_does_not_turn_versions_off(
    s3_connection: S3Client,
) -> None:
    from botocore.exceptions import ClientError

    place = BucketPlace.create(s3_connection, versioned=True)
    place.put("a.txt", b"text")
    source = place.source()

    def refuse(**_: object) -> None:
        raise ClientError({"Error": {"Code": "SlowDown"}}, "GetBucketVersioning")

    place.client.meta.events.register("before-call.s3.GetBucketVersioning", refuse)
    try:
        with pytest.raises(UnavailableError):
            source.list()
    finally:
        place.client.meta.events.unregister("before-call.s3.GetBucketVersioning", refuse)
    assert only(source).version is not None


def test_an_object_in_several_parts_is_fetched(s3_connection: S3Client, tmp_path: Path) -> None:
    place = BucketPlace.create(s3_connection)
    parts = [b"a" * (5 << 20), b"b" * 1000]
    target = {"Bucket": place.bucket, "Key": "docs/large.bin"}
    upload = place.client.create_multipart_upload(**target)["UploadId"]
    sent = [
        place.client.upload_part(**target, UploadId=upload, PartNumber=number, Body=part)["ETag"]
        for number, part in enumerate(parts, 1)
    ]
    done = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(sent, 1)]
    place.client.complete_multipart_upload(
        **target, UploadId=upload, MultipartUpload={"Parts": done}
    )
    source = place.source()
    obj = only(source)
    assert obj.etag.endswith("-2")
    source.fetch(obj, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == b"".join(parts)


def test_a_full_disk_is_transient(s3_connection: S3Client) -> None:
    place = BucketPlace.create(s3_connection)
    place.put("a.txt", b"text" * 100_000)
    source = place.source()
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises((TransientError, PermissionError)) as caught:
        source.fetch(only(source), _Undeletable(full))
    assert getattr(caught.value, "code", "") == "disk_full"


class _Undeletable(type(Path())):  # type: ignore[misc]
    """A path that stays: /dev/full must survive its test."""

    def unlink(self, missing_ok: bool = False) -> None:
        """Nothing."""


@pytest.mark.parametrize(
    ("bucket", "facts", "is_checked"),
    [
        ("bucket", {}, True),
        ("bucket", {"ServerSideEncryption": "AES256"}, True),
        ("bucket", {"ServerSideEncryption": "aws:kms"}, False),
        ("bucket", {"ServerSideEncryption": "aws:kms:dsse"}, False),
        ("bucket", {"SSECustomerAlgorithm": "AES256"}, False),
        ("bucket--use1-az4--x-s3", {}, False),
    ],
)
def test_an_etag_is_checked_as_md5_only_where_it_is_one(
    tmp_path: Path, bucket: str, facts: dict[str, str], is_checked: bool
) -> None:
    etag = "0123456789abcdef" * 2
    answer = {"ETag": f'"{etag}"', "ContentLength": 4, "Body": io.BytesIO(b"text"), **facts}
    source = S3Source(f"s3://{bucket}/", SimpleNamespace(get_object=lambda **_: answer))
    obj = SourceObject(f"s3://{bucket}/a.txt", etag, 4, datetime(2026, 1, 1, tzinfo=UTC))
    if is_checked:
        with pytest.raises(TransientError) as caught:
            source.fetch(obj, tmp_path / "got")
        assert caught.value.code == "object_corrupt"
    else:
        source.fetch(obj, tmp_path / "got")
        assert (tmp_path / "got").read_bytes() == b"text"


@pytest.mark.parametrize("uri", ["s3://", "s3:///key", "http://bucket/", "s3://a b/", "s3://-/x"])
def test_a_malformed_address_is_refused(uri: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        S3Source(uri, None)
    assert caught.value.code == "bad_source"


@pytest.mark.slow
@pytest.mark.parametrize("versioned", [False, True])
def test_thousands_of_keys_over_several_pages(s3_connection: S3Client, versioned: bool) -> None:
    place = BucketPlace.create(s3_connection, versioned=versioned)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: place.put(f"{number:05}.txt", b"x"), range(2_500)))
    assert names_of(place.source()) == {f"{number:05}.txt" for number in range(2_500)}
    place.delete("01234.txt")
    assert len(names_of(place.source())) == 2_499


def test_an_object_that_was_never_there_is_gone(s3_connection: S3Client, tmp_path: Path) -> None:
    place = BucketPlace.create(s3_connection)
    obj = SourceObject(f"s3://{place.bucket}/docs/x", "0" * 32, 1, datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(TransientError) as caught:
        place.source().fetch(obj, tmp_path / "got")
    assert caught.value.code == "object_gone"
