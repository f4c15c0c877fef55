"""From a put in a bucket to a run request, over the real protocol of queue and store."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pytest

from rag.errors import UnavailableError
from rag.ingest.hints import take_hints
from rag.settings import Settings
from rag.sources.queue import NotificationQueue, open_queue
from rag.sources.s3 import S3Source, s3_client
from rag.stack.object_store import S3Server
from rag.store.hints import hinted_shards
from rag_assets import failures
from rag_assets.definitions import build_definitions, platform_resources
from rag_assets_tests.assets.bench import DAGSTER_WARNINGS, Bench, fake_resources, leave_a_run
from rag_assets_tests.world import served
from sensors.queue import queue_sensor

pytestmark = [pytest.mark.slow, DAGSTER_WARNINGS]

EVENTS = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]


@dataclass
class Wire:
    """A bucket that notifies a queue, and the sensor at the queue's end."""

    bench: Bench
    s3: Any
    sqs: Any
    bucket: str
    url: str
    dead_letters: str
    keys: list[str] = field(default_factory=list)

    @property
    def source(self) -> str:
        return f"s3://{self.bucket}/docs/"

    def put(self, name: str, text: str) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=f"docs/{name}", Body=text.encode())

    def delete(self, name: str) -> None:
        self.s3.delete_object(Bucket=self.bucket, Key=f"docs/{name}")

    def send(self, body: str) -> None:
        self.sqs.send_message(QueueUrl=self.url, MessageBody=body)

    def say(self, key: str, event: str = "ObjectCreated:Put", bucket: str = "") -> None:
        """A notification that the store itself did not send."""
        place = {"bucket": {"name": bucket or self.bucket}, "object": {"key": key}}
        self.send(json.dumps({"Records": [{"eventName": event, "s3": place}]}))

    def waiting(self, url: str = "") -> int:
        """Messages in the queue, given out or not."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.sqs.get_queue_attributes(QueueUrl=url or self.url, AttributeNames=names)
        return sum(int(answer["Attributes"][name]) for name in names)

    def tick(self) -> dg.SensorResult:
        resources = {"database": fake_resources(self.bench)["database"]}
        context = dg.build_sensor_context(instance=self.bench.instance, resources=resources)
        result = queue_sensor(self.url, "us-east-1", long_poll_s=0)(context)
        assert isinstance(result, dg.SensorResult)
        return result

    def requests(self) -> list[dg.RunRequest]:
        return list(self.tick().run_requests or [])

    def run_requested(self) -> None:
        """Run what the next tick asks for."""
        for request in self.requests():
            assert self.bench.run(str(request.partition_key), request.tags).success

    def hinted(self) -> list[str]:
        rows = self.bench.conn.execute(b"select uri from hint order by uri").fetchall()
        return [row["uri"].removeprefix(self.source) for row in rows]


@pytest.fixture
def wire(bench: Bench, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """A collection over a bucket of its own, and the queue of that bucket, empty."""
    from boto3.session import Session

    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    s3 = s3_client(s3_server.endpoint_url, s3_server.region)
    sqs = Session().client("sqs", region_name=s3_server.region)
    bucket = f"queue-{uuid.uuid4().hex[:12]}"
    dead = sqs.create_queue(QueueName=f"{bucket}-dead")["QueueUrl"]
    redrive = {"deadLetterTargetArn": _arn(sqs, dead), "maxReceiveCount": 2}
    attributes = {"VisibilityTimeout": "0", "RedrivePolicy": json.dumps(redrive)}
    url = sqs.create_queue(QueueName=bucket, Attributes=attributes)["QueueUrl"]
    s3.create_bucket(Bucket=bucket)
    configuration = {"QueueConfigurations": [{"QueueArn": _arn(sqs, url), "Events": EVENTS}]}
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=configuration)
    made = Wire(bench, s3, sqs, bucket, url, dead)
    bench.collect(uri=made.source)
    bench.sources[made.source] = S3Source(made.source, s3)  # type: ignore[assignment]
    yield made
    for queue in (url, dead):
        sqs.delete_queue(QueueUrl=queue)


def _arn(sqs: Any, url: str) -> str:
    answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return str(answer["Attributes"]["QueueArn"])


def test_a_put_becomes_a_hint_and_a_run_request(wire: Wire) -> None:
    wire.put("with space + ü%.txt", "Some text.")

    (request,) = wire.requests()

    assert wire.hinted() == ["with space + ü%.txt"]
    assert (request.partition_key, wire.waiting()) == ("acme/docs", 0)
    assert request.tags["rag/reason"] == "1 objects named by notifications"
    assert wire.bench.run("acme/docs", request.tags).success
    assert list(served(wire.bench.conn, "acme/docs").values()) == ["Some text."]
    assert (wire.hinted(), wire.requests()) == ([], [])


def test_the_stores_test_message_is_no_reason_to_run(wire: Wire) -> None:
    assert wire.waiting() == 1  # configuring notifications sends it

    assert wire.requests() == []

    assert wire.waiting() == 0


def test_a_deletion_is_a_hint_too(wire: Wire) -> None:
    wire.put("a.txt", "Some text.")
    wire.run_requested()
    wire.delete("a.txt")

    wire.run_requested()

    assert served(wire.bench.conn, "acme/docs") == {}


def test_the_same_message_ten_times_is_one_run(wire: Wire) -> None:
    wire.put("a.txt", "Some text.")
    for _ in range(10):
        wire.say("docs/a.txt")

    assert len(wire.requests()) == 1

    assert (wire.hinted(), wire.waiting()) == (["a.txt"], 0)


def test_a_repeated_tick_keeps_its_run_key(wire: Wire) -> None:
    wire.put("a.txt", "Some text.")

    first, second = wire.requests(), wire.requests()

    assert first[0].run_key == second[0].run_key


@pytest.mark.parametrize(
    "events",
    [("ObjectRemoved:Delete", "ObjectCreated:Put"), ("ObjectCreated:Put", "ObjectRemoved:Delete")],
)
def test_the_order_of_messages_decides_nothing(wire: Wire, events: tuple[str, ...]) -> None:
    wire.put("a.txt", "The text that is there.")
    for event in events:
        wire.say("docs/a.txt", event)

    wire.run_requested()

    assert list(served(wire.bench.conn, "acme/docs").values()) == ["The text that is there."]


def test_messages_of_strange_buckets_and_prefixes_are_deleted(wire: Wire) -> None:
    wire.say("docs/a.txt", bucket="another-bucket")
    wire.say("docs2/a.txt")

    assert wire.requests() == []

    assert (wire.hinted(), wire.waiting()) == ([], 0)


def test_a_crash_between_commit_and_deletion_does_no_harm(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise UnavailableError("The process died.")

    wire.put("a.txt", "Some text.")
    with monkeypatch.context() as patch:
        patch.setattr(NotificationQueue, "delete", crash)
        assert "The process died." in str(wire.tick().skip_reason)
    assert (wire.hinted(), wire.waiting()) == (["a.txt"], 2)

    wire.run_requested()

    assert (wire.hinted(), wire.waiting()) == ([], 0)
    assert list(served(wire.bench.conn, "acme/docs").values()) == ["Some text."]
    assert wire.requests() == []


def test_a_message_whose_hint_was_not_committed_stays_in_the_queue(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise UnavailableError("Postgres is gone.")

    wire.put("a.txt", "Some text.")
    before = wire.waiting()
    with monkeypatch.context() as patch:
        patch.setattr("rag.ingest.hints.add_hints", fail)
        assert wire.requests() == []
    assert wire.waiting() == before

    assert len(wire.requests()) == 1


def test_a_malformed_message_goes_to_the_dead_letter_queue_and_is_said_once(
    wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    wire.tick()
    wire.send("not json")
    wire.put("a.txt", "Some text.")

    for _ in range(4):
        wire.tick()

    assert wire.hinted() == ["a.txt"]
    assert (wire.waiting(), wire.waiting(wire.dead_letters)) == (0, 1)
    assert caplog.text.count("message_malformed") == 1


def test_many_messages_are_taken_in_bounded_ticks(wire: Wire) -> None:
    for number in range(25):
        wire.say(f"docs/{number:02d}.txt")
    queue = open_queue(wire.url, "us-east-1")

    first = take_hints(wire.bench.conn, queue, most_messages=10)
    rest = take_hints(wire.bench.conn, queue)

    assert (first.messages, rest.messages) == (10, 16)
    assert (first.hints + rest.hints, len(wire.hinted())) == (25, 25)


def test_a_hint_that_comes_while_a_run_looks_outlives_it(wire: Wire) -> None:
    wire.put("a.txt", "Some text.")
    (request,) = wire.requests()
    wire.bench.conn.execute(b"update hint set received_at = now() + interval '1 hour'")

    assert wire.bench.run("acme/docs", request.tags).success

    assert wire.hinted() == ["a.txt"]


def test_a_run_that_could_not_list_keeps_the_hints(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "RETRY_AFTER_S", 0.0)
    wire.put("a.txt", "Some text.")
    (request,) = wire.requests()
    wire.bench.unreachable[wire.source] = UnavailableError("no such host")

    wire.bench.run("acme/docs", request.tags)

    assert wire.hinted() == ["a.txt"]


def test_hints_of_a_shard_under_way_wait_for_its_end(wire: Wire) -> None:
    leave_a_run(wire.bench, dg.DagsterRunStatus.STARTED)
    wire.put("a.txt", "Some text.")

    result = wire.tick()

    assert not result.run_requests
    assert "acme/docs is being brought up to date" in str(result.skip_reason)
    assert wire.hinted() == ["a.txt"]


def test_only_hinted_shards_are_run(wire: Wire) -> None:
    uri = f"s3://{wire.bucket}/sharded/"
    wire.bench.collect("acme/sharded", uri, shards=8)
    wire.say("sharded/a.txt")
    wire.say("sharded/b.txt")

    partitions = {str(request.partition_key) for request in wire.requests()}

    rows = hinted_shards(wire.bench.conn)
    assert partitions == {f"acme/sharded/{row['shard']:02d}" for row in rows}
    assert 1 <= len(partitions) <= 2


def test_a_forgotten_document_leaves_no_hint(wire: Wire) -> None:
    from rag.model import CollectionName
    from rag.store import retention
    from rag.store.collections import find_collection

    wire.put("a\\b.txt", "Some text.")
    wire.run_requested()
    wire.say("docs/a%5Cb.txt")
    wire.tick()
    assert wire.hinted() == ["a\\b.txt"]
    collection = find_collection(wire.bench.conn, CollectionName("acme", "docs"))

    receipt = retention.erase(wire.bench.conn, collection, wire.source + "a\\b.txt")

    assert receipt["left"]["hints"] == 0  # type: ignore[index]
    wire.say("docs/a%5Cb.txt")
    assert wire.requests() == []
    assert wire.hinted() == []
    assert wire.bench.run().success
    assert served(wire.bench.conn, "acme/docs") == {}


def test_the_queue_tells_how_full_it_is_and_where_dead_letters_go(wire: Wire) -> None:
    wire.say("docs/a.txt")

    assert open_queue(wire.url, "us-east-1").state() == (2, True)
    assert open_queue(wire.dead_letters, "us-east-1").state() == (0, False)


def test_the_sensor_is_there_when_a_queue_is_configured() -> None:
    def sensors(settings: Settings) -> set[str]:
        repository = build_definitions(settings, platform_resources()).get_repository_def()
        return {sensor.name for sensor in repository.sensor_defs}

    queue_url = "https://sqs.eu-west-1.amazonaws.com/1/name"
    assert sensors(Settings(sqs_queue_url=queue_url)) - sensors(Settings()) == {"queue_sensor"}
