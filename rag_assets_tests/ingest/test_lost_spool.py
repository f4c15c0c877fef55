"""The spool only saves fetches: without it nothing is stuck, and nothing stays in it for nobody."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rag.store import documents, retention
from rag.store.collections import find_collection
from rag_assets_tests.fakes import mail
from rag_assets_tests.faults.points import PAUSES, PausedRun
from rag_assets_tests.ingest.harness import Harness
from rag_assets_tests.world import assert_world_is_sound, served, spooled

pytestmark = pytest.mark.slow

TEXT = b"station 4 measures the wind"


def rename(harness: Harness, name: str) -> str:
    harness.source.rename(name, f"new {name}")
    return f"new {name}"


def touch(harness: Harness, name: str) -> str:
    data, etag, modified = harness.source.objects[name]
    harness.source.objects[name] = (data, etag, modified.replace(year=2030))
    return name


def write_again(harness: Harness, name: str) -> str:
    harness.source.put(name, harness.source.objects[name][0])
    return name


CHANGES = [rename, touch, write_again]


def lose_spool(harness: Harness) -> None:
    for path in spooled(harness.folder / "spool"):
        path.unlink()


@pytest.mark.parametrize("change", CHANGES)
def test_a_new_parser_reads_what_was_renamed_or_written_again(
    harness: Harness, change: Callable[[Harness, str], str]
) -> None:
    harness.source.put("a.txt", TEXT)
    harness.run()
    name = change(harness, "a.txt")
    harness.run()
    lose_spool(harness)
    harness.parser.config = {"parser": "fake", "version": 2}

    counts = harness.run()

    assert (counts["parsed_documents"]["failed"], counts["search_index"]["behind"]) == (0, 0)
    assert counts["search_index"]["promoted"] == 1
    assert served(harness.conn, "acme/docs") == {harness.source.uri + name: TEXT.decode()}
    assert_world_is_sound(harness.conn)


@pytest.mark.parametrize("change", CHANGES)
def test_a_new_parser_unpacks_a_mail_that_was_renamed_or_written_again(
    harness: Harness, change: Callable[[Harness, str], str]
) -> None:
    harness.source.put("a.eml", mail("hello", ("plan.txt", TEXT.decode())).encode())
    harness.run()
    change(harness, "a.eml")
    harness.run()
    harness.conn.execute("update document set unpacked_version_id = null")
    lose_spool(harness)

    counts = harness.run()["parsed_documents"]

    assert (counts["attachments"], counts["failed"]) == (1, 0)
    assert_world_is_sound(harness.conn)


def test_bytes_that_changed_since_are_not_taken_for_the_old_ones(harness: Harness) -> None:
    harness.source.put("a.txt", TEXT)
    harness.run()
    _, etag, modified = harness.source.objects["a.txt"]
    harness.source.objects["a.txt"] = (b"of the same length, and new", etag, modified)
    lose_spool(harness)
    harness.parser.config = {"parser": "fake", "version": 2}

    counts = harness.run()

    assert (counts["parsed_documents"]["parsed"], counts["search_index"]["behind"]) == (0, 1)
    assert [row["code"] for row in harness.conn.execute("select code from dead_letter")] == [
        "object_changed"
    ]


def test_a_page_is_drawn_from_the_object_as_it_is_named_now(harness: Harness) -> None:
    harness.source.put("a.txt", TEXT)
    harness.run()
    name = rename(harness, "a.txt")
    harness.run()
    (document,) = harness.conn.execute("select id from document").fetchall()

    row = documents.find_passage(harness.conn, document["id"], 0)

    assert row is not None
    assert (row["uri"], row["etag"]) == (
        harness.source.uri + name,
        harness.source.objects[name][1],
    )


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("data", [TEXT, mail("hello", ("plan.txt", "the plan")).encode()])
def test_what_is_parsed_already_does_not_stay_in_the_spool(
    harness: Harness, change: Callable[[Harness, str], str], data: bytes
) -> None:
    harness.source.put("a.txt", data)
    harness.run()
    change(harness, "a.txt")
    harness.source.put("copy.txt", data)

    counts = harness.run()

    assert counts["parsed_documents"]["parsed"] == 0
    assert spooled(harness.folder / "spool") == []
    assert len(served(harness.conn, "acme/docs")) == (2 if data == TEXT else 4)


def test_what_waits_for_another_parser_stays_in_the_spool(harness: Harness) -> None:
    harness.source.put("a.txt", TEXT)
    harness.run()
    rename(harness, "a.txt")
    harness.parser.config = {"parser": "fake", "version": 2}
    harness.source.fetched.clear()

    assert harness.run()["parsed_documents"]["parsed"] == 1
    assert harness.source.fetched == ["new a.txt"]  # once


def test_what_was_erased_in_a_worker_s_hands_does_not_stay_in_the_spool(harness: Harness) -> None:
    harness.source.put("a.txt", TEXT)
    harness.run()
    harness.source.put("a.txt", b"another text")
    run = PausedRun(harness, PAUSES["after fetch"])
    collection = find_collection(harness.conn, harness.name)
    retention.erase(harness.conn, collection, harness.source.uri + "a.txt")

    run.finish()

    assert spooled(harness.folder / "spool") == []
