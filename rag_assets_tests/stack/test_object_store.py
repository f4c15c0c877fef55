from __future__ import annotations

import io
import os
import signal
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import ClientError

from rag.stack.object_store import S3Server, embedded_object_store, object_server
from rag_assets_tests.stack.processes import eventually, pid_of, python, using

pytestmark = pytest.mark.slow
ODD_KEYS = ["a b+ü.txt", "a//b", "dir/", "100% & more/ä.pdf", "x" * 900]


def client(server: S3Server, service: str = "s3") -> BaseClient:
    import boto3

    return boto3.client(
        service,
        endpoint_url=server.endpoint_url,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        region_name=server.region,
        config=Config(max_pool_connections=16, connect_timeout=5, read_timeout=30),
    )


def listing(s3: Any, bucket: str) -> list[tuple[object, ...]]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return [
        (entry["Key"], entry["ETag"], entry["LastModified"], entry["Size"])
        for page in pages
        for entry in page.get("Contents", [])
    ]


def versions(s3: Any, bucket: str) -> list[tuple[object, ...]]:
    answer = s3.list_object_versions(Bucket=bucket)
    return [
        (kind, entry["Key"], entry["VersionId"], entry["IsLatest"], entry["LastModified"])
        for kind in ("Versions", "DeleteMarkers")
        for entry in answer.get(kind, [])
    ]


def test_a_restart_finds_objects_with_their_etags_times_and_metadata(temporary_home: Path) -> None:
    with embedded_object_store(temporary_home) as server:
        s3: Any = client(server)
        s3.create_bucket(Bucket="documents")
        for key in ODD_KEYS:
            s3.put_object(
                Bucket="documents",
                Key=key,
                Body=key.encode() * 3,
                ContentType="text/plain",
                Metadata={"owner": "me"},
            )
        s3.upload_fileobj(io.BytesIO(b"z" * (9 << 20)), "documents", "parts.bin")
        s3.copy_object(Bucket="documents", Key="copy", CopySource="documents/dir/")
        before = listing(s3, "documents")
        assert len(before) == len(ODD_KEYS) + 2
    with embedded_object_store(temporary_home) as again:
        assert again == server
        s3 = client(again)
        assert listing(s3, "documents") == before
        for key in ODD_KEYS:
            got = s3.get_object(Bucket="documents", Key=key)
            assert got["Body"].read() == key.encode() * 3
            assert (got["ContentType"], got["Metadata"]) == ("text/plain", {"owner": "me"})
        part = s3.get_object(Bucket="documents", Key="parts.bin", Range="bytes=9437180-9437190")
        assert part["Body"].read() == b"zzzz"


def test_a_restart_finds_versions_and_delete_markers(temporary_home: Path) -> None:
    with embedded_object_store(temporary_home) as server:
        s3: Any = client(server)
        s3.create_bucket(Bucket="versioned")
        s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
        for text in ("one", "two"):
            s3.put_object(Bucket="versioned", Key="kept", Body=text.encode())
            s3.put_object(Bucket="versioned", Key="deleted", Body=text.encode())
        s3.delete_object(Bucket="versioned", Key="deleted")
        before = versions(s3, "versioned")
        assert [kind for kind, *_ in before].count("DeleteMarkers") == 1
    with embedded_object_store(temporary_home) as again:
        s3 = client(again)
        assert versions(s3, "versioned") == before
        first = [row[2] for row in before if row[1] == "kept"][-1]
        old = s3.get_object(Bucket="versioned", Key="kept", VersionId=first)
        assert old["Body"].read() == b"one"
        with pytest.raises(ClientError, match="NoSuchKey"):
            s3.get_object(Bucket="versioned", Key="deleted")
        third = s3.put_object(Bucket="versioned", Key="kept", Body=b"three")
        assert third["VersionId"] not in {row[2] for row in before}


def test_what_was_deleted_stays_deleted_and_its_bytes_go(temporary_home: Path) -> None:
    with embedded_object_store(temporary_home) as server:
        s3: Any = client(server)
        for bucket in ("documents", "dropped"):
            s3.create_bucket(Bucket=bucket)
        for key in ("a", "b", "c"):
            s3.put_object(Bucket="documents", Key=key, Body=b"1")
        s3.put_object(Bucket="documents", Key="a", Body=b"2")
        s3.delete_objects(Bucket="documents", Delete={"Objects": [{"Key": "b"}]})
        s3.delete_object(Bucket="documents", Key="c")
        s3.delete_bucket(Bucket="dropped")
    bodies = [path for path in temporary_home.glob("objects/bodies/*/*") if path.is_file()]
    assert [path.read_bytes() for path in bodies] == [b"2"]
    with embedded_object_store(temporary_home) as again:
        s3 = client(again)
        assert [entry[0] for entry in listing(s3, "documents")] == ["a"]
        assert [one["Name"] for one in s3.list_buckets()["Buckets"]] == ["documents"]


def test_killed_after_an_answer_it_has_what_it_answered_for(temporary_home: Path) -> None:
    with embedded_object_store(temporary_home) as server:
        s3: Any = client(server)
        s3.create_bucket(Bucket="documents")
        put = s3.put_object(Bucket="documents", Key="a", Body=b"1")
        os.kill(pid_of(temporary_home, "rag.stack.object_server"), signal.SIGKILL)
        # a process that is being ended still holds its port for a moment
        assert eventually(lambda: not object_server(temporary_home).running_port())
        with embedded_object_store(temporary_home) as meanwhile:
            assert client(meanwhile).head_object(Bucket="documents", Key="a")["ETag"] == put["ETag"]
    with embedded_object_store(temporary_home) as again:
        assert client(again).head_object(Bucket="documents", Key="a")["ETag"] == put["ETag"]


def test_concurrent_writers_get_the_etags_of_their_own_bytes(s3_server: S3Server) -> None:
    import hashlib

    s3: Any = client(s3_server)
    s3.create_bucket(Bucket="crowd")

    def put(number: int) -> tuple[str, str]:
        body = f"{number}".encode() * 5000
        answer = s3.put_object(Bucket="crowd", Key=f"{number % 60}", Body=body)
        return answer["ETag"], f'"{hashlib.md5(body).hexdigest()}"'

    with ThreadPoolExecutor(16) as pool:
        assert all(got == expected for got, expected in pool.map(put, range(240)))
    for key, etag, *_ in listing(s3, "crowd"):
        body = s3.get_object(Bucket="crowd", Key=key)["Body"].read()
        assert etag == f'"{hashlib.md5(body).hexdigest()}"'


def test_a_queue_hears_of_new_objects_before_and_after_a_restart(temporary_home: Path) -> None:
    with embedded_object_store(temporary_home) as server:
        queue: Any = client(server, "sqs")
        url = queue.create_queue(QueueName="events", Attributes={"VisibilityTimeout": "7"})[
            "QueueUrl"
        ]
        arn = queue.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        s3: Any = client(server)
        s3.create_bucket(Bucket="documents")
        configuration = {
            "QueueConfigurations": [
                {"QueueArn": arn["Attributes"]["QueueArn"], "Events": ["s3:ObjectCreated:*"]}
            ]
        }
        s3.put_bucket_notification_configuration(
            Bucket="documents", NotificationConfiguration=configuration
        )
    with embedded_object_store(temporary_home) as again:
        queue = client(again, "sqs")
        url = queue.get_queue_url(QueueName="events")["QueueUrl"]
        got = queue.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])
        assert got["Attributes"]["VisibilityTimeout"] == "7"
        client(again).put_object(Bucket="documents", Key="new.pdf", Body=b"1")
        received = queue.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
        assert any("new.pdf" in message["Body"] for message in received)


def test_a_caller_without_the_access_key_is_refused(s3_server: S3Server) -> None:
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"{s3_server.endpoint_url}/moto-api/data.json", timeout=5)
    stranger = S3Server(s3_server.endpoint_url, "AKIASTRANGER", s3_server.secret_key)
    with pytest.raises(ClientError, match="InvalidAccessKeyId"):
        client(stranger).list_buckets()


def test_processes_share_one_server_and_a_killed_user_does_not_keep_it(
    temporary_home: Path,
) -> None:
    hold = (
        "import sys; from pathlib import Path; from rag.stack.object_store import *; "
        "print(ensure_object_store(Path(sys.argv[1])).endpoint_url, flush=True); sys.stdin.read()"
    )
    users = [python(hold, str(temporary_home)) for _ in range(3)]
    urls = {user.stdout.readline() for user in users if user.stdout}
    assert len(urls) == 1
    for user in users:
        user.kill()
        user.communicate(timeout=10)
    assert eventually(lambda: not using(temporary_home))


def test_its_secrets_are_for_this_user_only_and_its_process_ends(temporary_home: Path) -> None:
    with embedded_object_store(temporary_home):
        for name in ("access-key", "secret-key"):
            assert (temporary_home / "objects" / name).stat().st_mode & 0o077 == 0
    assert eventually(lambda: not using(temporary_home))
