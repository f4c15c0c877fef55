"""The notification queue: what messages say, and what the queue's own errors mean."""

from __future__ import annotations

import json

import pytest

from rag.errors import ConfigurationError, UnavailableError
from rag.sources.queue import open_queue
from rag.sources.queue_message import changed_uris
from rag.stack.loopback import HOST, free_port
from rag.stack.object_store import S3Server


def record(key: str, event: str = "ObjectCreated:Put", bucket: str = "docs") -> dict[str, object]:
    return {"eventName": event, "s3": {"bucket": {"name": bucket}, "object": {"key": key}}}


def body(*records: dict[str, object]) -> str:
    return json.dumps({"Records": list(records)})


@pytest.mark.parametrize(
    ("message", "uris"),
    [
        (body(record("a.pdf")), ("s3://docs/a.pdf",)),
        (body(record("a.pdf", "ObjectRemoved:Delete")), ("s3://docs/a.pdf",)),
        (body(record("a.pdf", "LifecycleExpiration:Delete")), ("s3://docs/a.pdf",)),
        (body(record("a"), record("b"), record("a")), ("s3://docs/a", "s3://docs/b")),
        (body(), ()),
        (body(record("with+space%2B%C3%BC%25.txt")), ("s3://docs/with space+ü%.txt",)),
        (json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "docs"}), ()),
        (
            json.dumps({"Type": "Notification", "Message": body(record("a+b"))}),
            ("s3://docs/a b",),
        ),
        (
            json.dumps(
                {
                    "source": "aws.s3",
                    "detail": {"bucket": {"name": "docs"}, "object": {"key": "a+b%20c"}},
                }
            ),
            ("s3://docs/a+b%20c",),
        ),
    ],
)
def test_a_message_names_its_objects(message: str, uris: tuple[str, ...]) -> None:
    assert changed_uris(message) == uris


@pytest.mark.parametrize(
    "message",
    [
        "",
        "not json",
        "[]",
        "null",
        "7",
        "{}",
        '{"Records": [{}]}',
        '{"Records": 5}',
        '{"Records": [{"s3": {"bucket": {"name": "b"}, "object": {"key": "%FF"}}}]}',
        '{"Records": [{"s3": {"bucket": {"name": "b"}, "object": {"key": "a%00"}}}]}',
        '{"Records": [{"s3": {"bucket": {"name": ""}, "object": {"key": "a"}}}]}',
        '{"Type": "Notification", "Message": 5}',
        "[" * 100_000,
    ],
)
def test_a_malformed_message_names_nothing_and_raises_nothing(message: str) -> None:
    assert changed_uris(message) is None


def test_a_queue_that_is_missing_is_named(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    queue = open_queue(f"{s3_server.endpoint_url}/123456789012/none", "us-east-1")
    with pytest.raises(ConfigurationError) as caught:
        queue.receive(0)
    assert caught.value.code == "queue_not_found"


def test_a_queue_that_does_not_answer_is_transient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    queue = open_queue(f"http://{HOST}:{free_port()}/1/none", "us-east-1")
    with pytest.raises(UnavailableError) as caught:
        queue.receive(0)
    assert caught.value.code == "queue_unreachable"


@pytest.mark.parametrize("url", ["", "name", "arn:aws:sqs:us-east-1:1:name", "https://host/"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_queue(url, "us-east-1")
    assert caught.value.code == "bad_setting"


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://sqs.eu-west-1.amazonaws.com/1/name", "eu-west-1"),
        ("https://vpce-1-a.sqs.eu-west-2.vpce.amazonaws.com/1/name", "eu-west-2"),
        ("https://sqs.cn-north-1.amazonaws.com.cn/1/name", "cn-north-1"),
        ("http://elasticmq:9324/1/name", "us-east-1"),
    ],
)
def test_the_region_is_that_of_the_queue(url: str, region: str) -> None:
    client = open_queue(url, "us-east-1")._client
    assert client.meta.region_name == region
    assert client.meta.config.read_timeout > 20
