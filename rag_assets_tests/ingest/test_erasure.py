"""What is forgotten is gone from every table and from the spool, and the receipt proves it."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from rag.ingest.pipeline import STAGES
from rag.ingest.spool import Spool
from rag.model import Hit
from rag.store import files, query_log, retention
from rag.store.collections import Collection, find_collection, list_sources
from rag.store.files import NewFile
from rag.store.query_log import Answered, Asked
from rag_assets_tests.ingest.harness import Harness
from rag_assets_tests.world import assert_world_is_sound, spooled

pytestmark = pytest.mark.slow

SECRET = "secret.txt"


@pytest.fixture
def collection(harness: Harness) -> Collection:
    """Two documents, the secret one with a list of who may see it."""
    harness.source.put(SECRET, b"the secret plan")
    harness.source.put(f"{SECRET}.acl.json", b'{"principals": ["ann"]}')
    harness.source.put("open.txt", b"the open plan")
    harness.run()
    return find_collection(harness.conn, harness.name)


def erase(harness: Harness, collection: Collection, name: str = SECRET) -> dict[str, Any]:
    spool = Spool(harness.folder / "spool")
    uri = harness.source.uri + name
    return dict(retention.erase(harness.conn, collection, uri, spool.discard))


def upload(harness: Harness, collection: Collection, *names: str) -> uuid.UUID:
    made = [
        NewFile(n, name, name, harness.source.uri + name, 1, bytes(32))
        for n, name in enumerate(names)
    ]
    job_id = uuid.uuid4()
    files.create_job(harness.conn, job_id, collection, "ann", made)
    return job_id


def answer(harness: Harness) -> None:
    """Somebody asks, and the answer quotes the document."""
    found: tuple[Hit, ...] = harness.search("secret plan", principals=None).hits
    assert found[0].document == SECRET
    query_id = uuid.uuid4()
    query_log.record_query(
        harness.conn,
        Asked(query_id, harness.name, "ann", "What is the plan?", "hybrid", 5, {}, None, 1.0, 1.0),
        None,
        found,
    )
    query_log.record_answer(
        harness.conn, Answered(query_id, "plan", "The secret plan.", "answered", 1.0)
    )


def notify(harness: Harness, collection: Collection) -> None:
    (source,) = list_sources(harness.conn, collection)
    harness.conn.execute(
        "insert into hint (source_id, uri, shard) values (%s, %s, 0)",
        [source["id"], harness.source.uri + SECRET],
    )


def test_the_receipt_lists_all_that_was_removed(harness: Harness, collection: Collection) -> None:
    answer(harness)
    upload(harness, collection, SECRET)
    notify(harness, collection)

    receipt = erase(harness, collection)

    assert {what: count for what, count in receipt["removed"].items() if count} == {
        "documents": 1, "versions": 1, "parsed": 1, "chunks": 1, "embeddings": 1,
        "publications": 1, "search_rows": 1, "posting_segments": 1, "hints": 1,
        "access_lists": 1, "upload_files": 1, "answers": 1,
    }  # fmt: skip
    assert receipt["left"] == dict.fromkeys(receipt["removed"], 0)
    (kept,) = harness.conn.execute("select receipt from erasure").fetchall()
    assert kept["receipt"] == receipt
    assert_world_is_sound(harness.conn)


def test_its_name_is_in_no_table_after_it_and_stays_out(
    harness: Harness, collection: Collection
) -> None:
    upload(harness, collection, SECRET)
    notify(harness, collection)
    erase(harness, collection)
    harness.run()  # the object and its list are still in the source

    assert rows_with(harness, SECRET) == {}
    assert rows_with(harness, "the secret plan") == {}
    assert rows_with(harness, "open.txt").keys() == {"document"}  # a look that finds something


def rows_with(harness: Harness, text: str) -> dict[str, int]:
    """In how many rows of which tables the text is."""
    tables = harness.conn.execute(
        "select tablename from pg_tables where schemaname = 'public'"
    ).fetchall()
    found = {}
    for name in (row["tablename"] for row in tables):
        counted = harness.conn.execute(
            f"select count(*) as n from {name} as t where t::text like %s".encode(), [f"%{text}%"]
        ).fetchone()
        assert counted is not None
        found[name] = counted["n"]
    return {name: count for name, count in found.items() if count}


def test_nothing_is_to_be_done_for_the_list_of_an_erased_document(
    harness: Harness, collection: Collection
) -> None:
    erase(harness, collection)

    assert "access_lists" not in harness.run()["raw_documents"]


def test_an_upload_of_more_files_keeps_the_others(harness: Harness, collection: Collection) -> None:
    alone, both = (
        upload(harness, collection, *names) for names in ((SECRET,), (SECRET, "open.txt"))
    )

    erase(harness, collection)

    assert files.find_job(harness.conn, alone) is None
    job = files.find_job(harness.conn, both)
    assert job is not None
    assert [row["filename"] for row in job.files] == ["open.txt"]


def test_its_bytes_leave_the_spool(harness: Harness, collection: Collection) -> None:
    for name, data in ((SECRET, b"another secret plan"), ("open.txt", b"another open plan")):
        harness.source.put(name, data)
    STAGES["raw_documents"](harness.shop(), harness.shard)  # and then the worker is gone
    assert len(spooled(harness.folder / "spool")) == 2

    receipt = erase(harness, collection)

    assert (receipt["removed"]["spooled_files"], receipt["left"]["spooled_files"]) == (1, 0)
    (left,) = spooled(harness.folder / "spool")
    assert left.read_bytes() == b"another open plan"


def test_what_other_documents_hold_is_neither_removed_nor_counted(
    harness: Harness, collection: Collection
) -> None:
    harness.source.put("copy.txt", b"the secret plan")
    harness.run()

    receipt = erase(harness, collection)

    assert receipt["contents_kept_for_other_documents"] == 1
    removed = receipt["removed"]
    assert (removed["documents"], removed["versions"]) == (1, 1)
    assert (removed["parsed"], removed["chunks"], removed["embeddings"]) == (0, 0, 0)
    assert set(receipt["left"].values()) == {0}
    assert harness.search("secret").hits[0].document == "copy.txt"


@pytest.mark.parametrize(
    ("step", "what"),
    [
        ("erase_parsed", {"parsed", "chunks", "embeddings"}),
        ("drop_unused_embeddings", {"embeddings"}),
        ("erase_answers", {"answers"}),
        ("erase_access_lists", {"access_lists"}),
        ("erase_uploads", {"upload_files"}),
        ("erase_hints", {"hints"}),
    ],
)
def test_the_proof_shows_what_an_erasure_would_leave_behind(
    harness: Harness,
    collection: Collection,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    what: set[str],
) -> None:
    answer(harness)
    upload(harness, collection, SECRET)
    notify(harness, collection)
    monkeypatch.setitem(retention.statements("retention"), step, "select 1 where false")

    left = erase(harness, collection)["left"]

    assert {name for name, count in left.items() if count} == what


def test_the_proof_shows_postings_that_were_not_purged(
    harness: Harness, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention.postings, "purge", lambda conn, collection_id, shard: None)

    left = erase(harness, collection)["left"]

    assert {name for name, count in left.items() if count} == {"posting_segments"}
