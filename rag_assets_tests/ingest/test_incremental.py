"""The index equals the source, at a cost proportional to what changed."""

from __future__ import annotations

import uuid

import pytest

from rag.errors import UnavailableError
from rag.ingest.pipeline import STAGES
from rag.model import CollectionName
from rag.store import collections, index, ledger, manifest
from rag.store.collections import find_collection
from rag.store.database import Connection, connect
from rag_assets_tests.fakes_source import FakeSource
from rag_assets_tests.ingest.harness import Harness
from rag_assets_tests.stack.processes import eventually
from rag_assets_tests.world import assert_world_is_sound, held_for, served

PARAGRAPHS = [
    f"Paragraph {n} tells how station {n} measures wind with its own instrument number {n * 37}."
    for n in range(8)
]
MANUAL = "# Weather manual\n\n" + "\n\n".join(PARAGRAPHS)


def texts(harness: Harness) -> dict[str, str]:
    return {
        uri.removeprefix(harness.source.uri): text
        for uri, text in served(harness.conn, "acme/docs").items()
    }


def test_a_new_file_becomes_a_cited_passage(harness: Harness) -> None:
    harness.source.put("manual.txt", MANUAL.encode())
    counts = harness.run()
    assert counts["raw_documents"]["new"] == 1
    assert counts["parsed_documents"]["parsed"] == 1
    assert counts["embeddings"]["embedded"] == counts["chunks"]["chunks"] > 1
    hit = harness.search("wind instrument number 185").hits[0]
    assert (hit.document, hit.heading) == ("manual.txt", "Weather manual")
    assert "185" in hit.text
    assert_world_is_sound(harness.conn)


def test_a_second_run_does_nothing(harness: Harness) -> None:
    harness.source.put("manual.txt", MANUAL.encode())
    harness.run()
    before = harness.conn.execute("select xmin, * from search_row order by ordinal").fetchall()
    counts = harness.run()
    assert counts["raw_documents"] == {
        "new": 0, "changed": 0, "renamed": 0, "unchanged": 1, "deleted": 0, "held": 0,
        "listed": 1, "failed": 0, "unlisted_sources": 0,
    }  # fmt: skip
    assert counts["parsed_documents"]["parsed"] == 0
    assert counts["embeddings"]["embedded"] == 0
    assert counts["search_index"]["documents"] == 0
    after = harness.conn.execute("select xmin, * from search_row order by ordinal").fetchall()
    assert before == after


def test_an_edit_costs_the_changed_chunks(harness: Harness) -> None:
    harness.source.put("manual.txt", MANUAL.encode())
    whole = harness.run()["embeddings"]["embedded"]
    harness.source.put("manual.txt", MANUAL.replace("number 259", "number 260").encode())
    counts = harness.run()
    assert counts["raw_documents"]["changed"] == 1
    assert 0 < counts["embeddings"]["embedded"] < whole / 2
    assert "number 260" in texts(harness)["manual.txt"]
    assert_world_is_sound(harness.conn)


def test_a_rename_costs_nothing_and_keeps_the_document(harness: Harness) -> None:
    harness.source.put("old name.txt", MANUAL.encode())
    harness.run()
    (before,) = harness.conn.execute("select id, version_id from document").fetchall()
    harness.source.rename("old name.txt", "folder/new name.txt")
    counts = harness.run()
    assert counts["raw_documents"]["renamed"] == 1
    assert counts["raw_documents"]["new"] == counts["raw_documents"]["deleted"] == 0
    assert counts["parsed_documents"]["parsed"] == counts["embeddings"]["embedded"] == 0
    (after,) = harness.conn.execute("select id, version_id from document").fetchall()
    assert before == after
    assert list(texts(harness)) == ["folder/new name.txt"]


def test_swapped_names_end_right(harness: Harness) -> None:
    harness.source.put("a.txt", b"alpha text")
    harness.source.put("b.txt", b"beta text")
    harness.run()
    harness.source.put("a.txt", b"beta text")
    harness.source.put("b.txt", b"alpha text")
    assert harness.run()["embeddings"]["embedded"] == 0
    assert texts(harness) == {"a.txt": "beta text", "b.txt": "alpha text"}
    assert_world_is_sound(harness.conn)


def test_a_copy_costs_no_parsing_and_no_embedding(harness: Harness) -> None:
    harness.source.put("one.txt", MANUAL.encode())
    harness.run()
    harness.source.put("two.txt", MANUAL.encode())
    counts = harness.run()
    assert counts["raw_documents"]["new"] == 1
    assert counts["parsed_documents"]["parsed"] == counts["embeddings"]["embedded"] == 0
    assert set(texts(harness)) == {"one.txt", "two.txt"}


def test_of_two_equal_documents_one_can_go(harness: Harness) -> None:
    harness.source.put("one.txt", MANUAL.encode())
    harness.source.put("two.txt", MANUAL.encode())
    harness.run()
    harness.source.delete("one.txt")
    assert harness.run()["raw_documents"]["deleted"] == 1
    assert set(texts(harness)) == {"two.txt"}
    assert {hit.document for hit in harness.search("wind").hits} == {"two.txt"}


def test_a_deleted_file_that_returns_is_found_again(harness: Harness) -> None:
    harness.source.put("a.txt", MANUAL.encode())
    harness.run()
    harness.source.delete("a.txt")
    harness.run()
    assert harness.search("wind").hits == ()
    harness.source.put("a.txt", MANUAL.encode())
    counts = harness.run()
    assert counts["raw_documents"]["new"] == 1
    assert counts["embeddings"]["embedded"] == 0
    assert texts(harness).keys() == {"a.txt"}
    assert_world_is_sound(harness.conn)


def test_an_incomplete_listing_deletes_nothing(harness: Harness) -> None:
    for n in range(5):
        harness.source.put(f"{n}.txt", f"text number {n}".encode())
    harness.run()
    for n in range(4):
        harness.source.delete(f"{n}.txt")
    harness.source.is_complete = False
    assert harness.run()["raw_documents"]["deleted"] == 0
    assert len(texts(harness)) == 5
    harness.source.is_complete = True  # the control: the same listing, complete, deletes
    assert harness.run()["raw_documents"]["deleted"] == 4


def test_a_mass_deletion_is_held_until_it_is_confirmed(harness: Harness) -> None:
    harness.settings = {"deletion_floor": 3, "deletion_share": 0.1}
    for n in range(10):
        harness.source.put(f"{n}.txt", f"text number {n}".encode())
    harness.run()
    for n in range(9):
        harness.source.delete(f"{n}.txt")
    for _ in range(2):  # a second look so soon confirms nothing
        counts = harness.run()["raw_documents"]
        assert (counts["deleted"], counts["held"]) == (0, 9)
        assert len(texts(harness)) == 10
    collection = find_collection(harness.conn, harness.name)
    assert manifest.confirm_deletions(harness.conn, collection.id) == [(harness.source.uri, 9)]
    assert harness.run()["raw_documents"]["deleted"] == 9
    assert set(texts(harness)) == {"9.txt"}


def test_a_later_complete_listing_confirms_a_mass_deletion(harness: Harness) -> None:
    harness.settings = {"deletion_floor": 3, "deletion_share": 0.1}
    for n in range(10):
        harness.source.put(f"{n}.txt", f"text number {n}".encode())
    harness.run()
    for n in range(9):
        harness.source.delete(f"{n}.txt")
    harness.run()
    held_for(harness.conn, "6 minutes")
    assert harness.run()["raw_documents"]["deleted"] == 9


def test_a_small_deletion_goes_through_at_once(harness: Harness) -> None:
    harness.settings = {"deletion_floor": 3, "deletion_share": 0.1}
    for n in range(10):
        harness.source.put(f"{n}.txt", f"text number {n}".encode())
    harness.run()
    for n in range(3):
        harness.source.delete(f"{n}.txt")
    assert harness.run()["raw_documents"]["deleted"] == 3


def test_a_broken_new_version_leaves_the_old_one_searchable(harness: Harness) -> None:
    harness.source.put("a.txt", b"the good old text")
    harness.source.put("b.txt", b"another text")
    harness.run()
    harness.source.put("a.txt", b"BROKEN")
    harness.source.put("b.txt", b"another text, edited")
    counts = harness.run()
    assert counts["parsed_documents"]["failed"] == 1
    assert texts(harness) == {"a.txt": "the good old text", "b.txt": "another text, edited"}
    (row,) = harness.conn.execute(
        "select state, code, kind from document_status where state = 'failed'"
    ).fetchall()
    assert row == {"state": "failed", "code": "corrupt_file", "kind": "poison"}
    harness.source.put("a.txt", b"the good new text")
    assert harness.run()["parsed_documents"]["failed"] == 0
    assert texts(harness)["a.txt"] == "the good new text"


def test_poison_is_tried_once_and_again_when_asked(harness: Harness) -> None:
    harness.source.put("a.txt", b"BROKEN")
    for _ in range(3):
        harness.run()
    assert harness.parser.parsed == ["a.txt"]
    collection = find_collection(harness.conn, harness.name)
    assert ledger.retry(harness.conn, collection.id) == 1
    harness.run()
    assert harness.parser.parsed == ["a.txt", "a.txt"]


def test_a_new_parser_tries_poison_again(harness: Harness) -> None:
    harness.source.put("a.txt", b"BROKEN")
    harness.run()
    harness.parser.config = {"parser": "fake", "version": 2}
    harness.run()
    assert harness.parser.parsed == ["a.txt", "a.txt"]


def test_a_transient_failure_is_retried_when_due(harness: Harness) -> None:
    harness.source.put("a.txt", b"some text")
    harness.parser.errors["a.txt"] = UnavailableError("The parser is busy.", code="busy")
    harness.run()
    harness.run()
    assert len(harness.parser.parsed) == 1  # not before it is due
    harness.conn.execute("update dead_letter set next_retry_at = now()")
    harness.parser.errors.clear()
    assert harness.run()["parsed_documents"]["parsed"] == 1
    assert texts(harness) == {"a.txt": "some text"}
    assert harness.conn.execute("select from lease").fetchall() == []


def test_a_file_that_can_not_be_fetched_is_named_and_comes_later(harness: Harness) -> None:
    harness.source.put("a.txt", b"some text")
    harness.source.put("b.txt", b"other text")
    harness.source.errors["a.txt"] = UnavailableError("The bucket is slow.", code="s3_slow")
    counts = harness.run()["raw_documents"]
    assert (counts["new"], counts["failed"]) == (1, 1)
    assert set(texts(harness)) == {"b.txt"}
    harness.source.errors.clear()
    assert harness.run()["raw_documents"]["new"] == 0  # not due yet
    harness.conn.execute("update dead_letter set next_retry_at = now()")
    assert harness.run()["raw_documents"]["new"] == 1
    assert set(texts(harness)) == {"a.txt", "b.txt"}


def test_a_file_over_the_limit_is_refused_unread(harness: Harness) -> None:
    harness.settings = {"max_file_bytes": 100}
    harness.source.put("big.txt", b"x" * 101)
    harness.source.put("small.txt", b"x y z")
    assert harness.run()["raw_documents"]["failed"] == 1
    (row,) = harness.conn.execute("select kind, code, next_retry_at from dead_letter").fetchall()
    assert (row["kind"], row["code"], row["next_retry_at"]) == ("policy", "file_too_large", None)
    assert harness.source.fetched == ["small.txt"]
    harness.source.put("big.txt", b"now short")
    harness.run()
    assert set(texts(harness)) == {"big.txt", "small.txt"}


def test_an_embedder_that_is_down_fails_the_run_and_blames_no_document(harness: Harness) -> None:
    harness.source.put("a.txt", MANUAL.encode())
    harness.embedder.error = UnavailableError("The engine is down.", code="embedder_down")
    with pytest.raises(UnavailableError):
        harness.run()
    assert harness.conn.execute("select from dead_letter").fetchall() == []
    harness.embedder.error = None
    counts = harness.run()
    assert counts["parsed_documents"]["parsed"] == 0  # kept from the failed run
    assert texts(harness).keys() == {"a.txt"}


def test_reuse_reaches_collections_of_a_namespace_but_not_another_namespace(
    harness: Harness, conn: Connection, database_url: str
) -> None:
    harness.source.put("a.txt", MANUAL.encode())
    embedded = harness.run()["embeddings"]["embedded"]
    folder = harness.folder
    sister = Harness(conn, database_url, folder, CollectionName("acme", "more"), harness.source)
    assert sister.run()["embeddings"]["embedded"] == 0
    stranger = Harness(conn, database_url, folder, CollectionName("rival", "docs"), harness.source)
    assert stranger.run()["embeddings"]["embedded"] == embedded
    assert_world_is_sound(conn)


def test_a_new_model_serves_only_when_it_has_caught_up(harness: Harness) -> None:
    for n in range(3):
        harness.source.put(f"{n}.txt", f"text number {n}".encode())
    harness.run()
    first = harness.search("text").generation
    harness.embedder.config = {**harness.embedder.config, "model": "another"}
    harness.embedder.error = UnavailableError("The engine is down.", code="embedder_down")
    with pytest.raises(UnavailableError):
        harness.run()
    assert harness.search("text", mode="bm25").generation == first
    assert len(texts(harness)) == 3
    harness.embedder.error = None
    assert harness.run()["search_index"]["promoted"] == 1
    assert harness.search("text").generation != first
    assert len(harness.search("text").hits) == 3
    assert_world_is_sound(harness.conn)


def test_search_is_scoped_to_its_collection(
    harness: Harness, conn: Connection, database_url: str
) -> None:
    harness.source.put("a.txt", b"a secret recipe for soup")
    harness.run()
    other = Harness(conn, database_url, harness.folder, CollectionName("rival", "docs"))
    other.source.put("b.txt", b"a recipe for bread")
    other.run()
    for mode in ("hybrid", "dense", "bm25"):
        assert {hit.document for hit in other.search("secret recipe", mode=mode).hits} == {"b.txt"}


def test_an_unreachable_source_stops_no_other(harness: Harness) -> None:
    collection = find_collection(harness.conn, harness.name)
    collections.add_source(harness.conn, collection, "fake://elsewhere/")
    other = FakeSource(uri="fake://elsewhere/")
    other.list_error = UnavailableError("The bucket does not answer.", code="s3_unreachable")
    harness.others[other.uri] = other
    harness.source.put("a.txt", b"some text")
    counts = harness.run()["raw_documents"]
    assert (counts["new"], counts["unlisted_sources"]) == (1, 1)
    assert set(texts(harness)) == {"a.txt"}
    harness.source.list_error = other.list_error
    with pytest.raises(UnavailableError):  # and when none can be listed, the run fails
        harness.run()


def test_a_fixed_file_is_pending_though_its_old_version_failed(harness: Harness) -> None:
    harness.source.put("a.txt", b"BROKEN")
    harness.run()
    assert index.pending_shards(harness.conn, lease_s=30.0) == []
    harness.source.put("a.txt", b"mended")
    STAGES["raw_documents"](harness.shop(), harness.shard)  # and then the worker is gone
    (row,) = index.pending_shards(harness.conn, lease_s=30.0)
    assert (row["shard"], row["documents"]) == (0, 1)
    harness.run()
    assert index.pending_shards(harness.conn, lease_s=30.0) == []


def test_what_a_worker_holds_is_not_pending_while_it_is_there(
    harness: Harness, database_url: str
) -> None:
    harness.source.put("a.txt", b"some text")
    STAGES["raw_documents"](harness.shop(), harness.shard)
    version_ids = [row["id"] for row in harness.conn.execute(b"select id from document_version")]
    assert version_ids
    owner, other = uuid.uuid4(), uuid.uuid4()
    with connect(database_url) as worker, ledger.presence(worker, owner):
        assert ledger.claim(worker, "parse", owner, version_ids, 30.0) == {version_ids[0]: 1}
        assert index.pending_shards(harness.conn, lease_s=30.0) == []
        assert ledger.claim(harness.conn, "parse", other, version_ids, 30.0) == {}
        (row,) = index.pending_shards(harness.conn, lease_s=0.0)  # its heartbeat stopped
        assert (row["documents"], row["attempts"]) == (1, 1)
        worker.close()  # it was killed, which the server notices soon
        assert eventually(lambda: index.pending_shards(harness.conn, lease_s=30.0) != [])
        (row,) = index.pending_shards(harness.conn, lease_s=30.0)
        assert (row["documents"], row["attempts"]) == (1, 1)
        assert ledger.claim(harness.conn, "parse", other, version_ids, 30.0) == {version_ids[0]: 2}


def test_a_new_configuration_waits_for_objects_that_are_away(harness: Harness) -> None:
    harness.source.put("a.txt", b"some text")
    harness.run()
    harness.parser.config = {"parser": "fake", "version": 2}
    harness.source.errors["a.txt"] = UnavailableError("The bucket is away.", code="s3_unreachable")
    counts = harness.run()["search_index"]
    assert (counts["behind"], counts.get("promoted", 0)) == (1, 0)
    assert set(texts(harness)) == {"a.txt"}
    harness.source.errors.clear()
    harness.conn.execute("update dead_letter set next_retry_at = now()")
    assert harness.run()["search_index"]["promoted"] == 1
