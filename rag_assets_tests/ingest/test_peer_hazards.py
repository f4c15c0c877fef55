"""What went wrong in other tools (the table in benchmarks/README.md) and must not go wrong here."""

from __future__ import annotations

import shutil

import pytest

from rag.errors import UnavailableError
from rag_assets_tests.ingest.harness import Harness
from rag_assets_tests.world import assert_world_is_sound, served


def test_an_embedder_that_fails_on_an_edit_leaves_the_old_version_searchable(
    harness: Harness,
) -> None:
    harness.source.put("a.txt", b"the old text")
    harness.run()
    harness.source.put("a.txt", b"the new text")
    harness.embedder.error = UnavailableError("The engine is down.", code="embedder_down")

    with pytest.raises(UnavailableError):
        harness.run()

    assert list(served(harness.conn, "acme/docs").values()) == ["the old text"]
    harness.embedder.error = None
    harness.run()
    assert list(served(harness.conn, "acme/docs").values()) == ["the new text"]
    assert_world_is_sound(harness.conn)


def test_a_run_without_the_folder_of_earlier_runs_goes_on(harness: Harness) -> None:
    harness.source.put("a.txt", b"some text")
    harness.source.put("b.txt", b"other text")
    harness.run()
    shutil.rmtree(harness.folder)
    harness.source.put("b.txt", b"edited text")

    counts = harness.run()

    assert counts["raw_documents"]["unchanged"] == 1
    assert counts["parsed_documents"]["parsed"] == 1
    assert counts["embeddings"]["embedded"] == 1
    assert sorted(served(harness.conn, "acme/docs").values()) == ["edited text", "some text"]


def test_the_same_bytes_written_again_cost_no_parse_and_no_embedding(harness: Harness) -> None:
    harness.source.put("a.txt", b"some text")
    harness.run()
    before = harness.source.list().objects
    harness.source.put("0.txt", b"makes time pass")
    harness.source.put("1.txt", b"makes more time pass")
    harness.source.put("a.txt", b"some text")
    harness.source.delete("0.txt")
    harness.source.delete("1.txt")
    (after,) = harness.source.list().objects
    assert (before[0].etag, before[0].modified_at) != (after.etag, after.modified_at)

    counts = harness.run()

    assert counts["parsed_documents"]["parsed"] == 0
    assert counts["embeddings"]["embedded"] == 0
    (row,) = harness.conn.execute("select etag, modified_at from document").fetchall()
    assert row == {"etag": after.etag, "modified_at": after.modified_at}
    assert_world_is_sound(harness.conn)
