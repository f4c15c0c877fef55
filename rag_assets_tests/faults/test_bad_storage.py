"""The object store gives errors, stalls and wrong bytes; the disk is full."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.errors import RagError
from rag.model import Shard
from rag.sources.s3 import S3Client, S3Source
from rag.store.database import Connection
from rag_assets_tests.faults.library import Library, text_of
from rag_assets_tests.faults.nursery import nursery
from rag_assets_tests.faults.profile import NIGHTLY, seeded
from rag_assets_tests.faults.rows import served_rows
from rag_assets_tests.faults.worker import bring_up
from rag_assets_tests.ingest.harness import Harness
from rag_assets_tests.sources.stub_store import Fault, Refusal, StubStore
from rag_assets_tests.world import assert_world_is_sound, served, spooled

pytestmark = pytest.mark.slow

FETCH_FAULTS = [
    Fault.CUT, Fault.STALL, Fault.FLIP, Fault.SHORT, Fault.SWAP,
    Refusal(404, "NoSuchKey"), Refusal(403, "AccessDenied"),
]  # fmt: skip
OLD, NEW = text_of(0, 1), text_of(0, 2)


@pytest.fixture
def harness(
    conn: Connection, database_url: str, tmp_path: Path, stub: StubStore, stub_client: S3Client
) -> Harness:
    """A collection over a bucket of the scripted store."""
    made = Harness(conn, database_url, tmp_path)
    conn.execute("update source set uri = 's3://bucket/'")
    made.source = S3Source("s3://bucket/", stub_client)  # type: ignore[assignment]
    return made


def only_text(harness: Harness) -> list[str]:
    return list(served(harness.conn, "acme/docs").values())


def make_retries_due(conn: Connection) -> int:
    """As if their time had come; returns how many are planned at all."""
    return conn.execute(
        "update dead_letter set next_retry_at = now()"
        " where resolved_at is null and next_retry_at is not null"
    ).rowcount


@pytest.mark.parametrize("fault", FETCH_FAULTS, ids=repr)
def test_a_bad_answer_publishes_nothing_wrong_and_is_tried_again_when_due(
    harness: Harness, stub: StubStore, fault: Fault | Refusal
) -> None:
    stub.objects = {"a.txt": OLD.encode()}
    harness.run()
    stub.objects = {"a.txt": NEW.encode()}
    stub.script = [None, fault]  # the listing is good
    counts = harness.run()
    assert counts["raw_documents"]["failed"] == 1
    assert only_text(harness) == [OLD]
    stub.calls = []
    harness.run()  # not due yet
    assert stub.calls == ["list"]
    assert make_retries_due(harness.conn) == 1
    harness.run()
    assert only_text(harness) == [NEW]
    assert_world_is_sound(harness.conn)
    assert not spooled(harness.folder / "spool")


def test_bytes_that_stay_wrong_are_given_up_and_never_published(
    harness: Harness, stub: StubStore
) -> None:
    stub.objects = {"a.txt": OLD.encode()}
    harness.run()
    stub.objects = {"a.txt": NEW.encode()}
    tries = 0
    for _ in range(6):
        stub.calls, stub.script = [], [None, *[Fault.FLIP] * 20]
        harness.run()
        tries += stub.calls.count("get") > 0
        make_retries_due(harness.conn)
    assert tries == 3  # max_attempts
    assert only_text(harness) == [OLD]
    (letter,) = harness.conn.execute("select code, attempts, next_retry_at from dead_letter")
    assert letter == {"code": "object_corrupt", "attempts": 3, "next_retry_at": None}
    stub.script, stub.objects = [], {"a.txt": text_of(0, 3).encode()}
    harness.run()  # a new object is a new try
    assert only_text(harness) == [text_of(0, 3)]


def test_a_store_that_fails_at_random_is_survived(harness: Harness, stub: StubStore) -> None:
    rng = seeded()
    documents = 60 if NIGHTLY else 15
    wanted = {f"s3://bucket/{n}.txt": text_of(n, 1) for n in range(documents)}
    stub.objects = {f"{n}.txt": text_of(n, 1).encode() for n in range(documents)}
    faults = [Refusal(503, "SlowDown"), Refusal(500, "InternalError"), *FETCH_FAULTS]
    stub.script = [rng.choice(faults) if rng.random() < 0.3 else None for _ in range(8 * documents)]
    runs = 0
    while stub.script and runs < 30:
        runs += 1
        try:
            harness.run()
        except RagError as error:
            assert error.code.startswith("s3_")
        assert_world_is_sound(harness.conn)
        found = served(harness.conn, "acme/docs")
        assert found.items() <= wanted.items()
        make_retries_due(harness.conn)
    calls = len(stub.calls)
    stub.script = []
    harness.conn.execute("update document set etag = null where version_id is null")
    harness.conn.execute("update dead_letter set resolved_at = now() where resolved_at is null")
    harness.run()
    assert served(harness.conn, "acme/docs") == wanted
    print(f"{runs} runs, {calls} calls")
    assert calls <= 5 * (documents * 3 + runs * documents)


def test_a_full_disk_is_for_now_and_leaves_nothing_half(
    conn: Connection, database_url: str, tmp_path: Path
) -> None:
    library = Library.create(tmp_path / "docs", database_url, documents=3)
    library.put("large.txt", "word " * 40_000)
    spool = tmp_path / "spool"
    with nursery(database_url, spool, "once", "file_limit=65536") as workers:
        workers.wait_until_gone(workers.start())
        assert workers.said("end") == ["3"]
    letters = conn.execute("select code, kind, next_retry_at is null as is_final from dead_letter")
    assert letters.fetchall() == [{"code": "disk_full", "kind": "transient", "is_final": False}]
    assert len({row["uri"] for row in served_rows(conn)}) == 3
    assert_world_is_sound(conn)
    assert not spooled(spool)
    make_retries_due(conn)
    assert bring_up(database_url, spool)["search_index"]["documents"] == 1
    assert Shard(Harness.name).partition_key == "acme/docs"
