"""What nothing uses goes after the retention; what is forgotten leaves no trace."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rag.errors import NotFoundError
from rag.store import retention
from rag.store.collections import find_collection
from rag_assets_tests.ingest.harness import Harness
from rag_assets_tests.world import assert_world_is_sound

pytestmark = pytest.mark.slow

DAY = 86_400.0


def rows(harness: Harness) -> dict[str, int]:
    tables = ("parsed", "chunk", "embedding", "search_row", "document", "document_version")
    return {
        table: harness.conn.execute(f"select count(*) as n from {table}".encode()).fetchone()["n"]  # type: ignore[index]
        for table in tables
    }


def test_content_in_use_is_never_swept(harness: Harness) -> None:
    harness.source.put("a.txt", b"some text")
    harness.run()
    before = rows(harness)
    assert retention.sweep(harness.conn, 0.0) == {"generations": 0, "parsed": 0, "embeddings": 0}
    assert rows(harness) == before


def test_unused_content_is_swept_after_the_retention(harness: Harness) -> None:
    harness.source.put("a.txt", b"some text")
    harness.source.put("b.txt", b"other words")
    harness.run()
    harness.source.delete("a.txt")
    harness.source.put("b.txt", b"other words, edited")
    harness.run()
    assert retention.sweep(harness.conn, DAY)["parsed"] == 0
    assert retention.sweep(harness.conn, 0.0) == {"generations": 0, "parsed": 2, "embeddings": 2}
    assert_world_is_sound(harness.conn)
    assert [hit.text for hit in harness.search("words").hits] == ["other words, edited"]
    harness.source.put("a.txt", b"some text")  # and what was swept can come back
    assert harness.run()["embeddings"]["embedded"] == 1


@pytest.mark.parametrize("is_gated", [True, False])
def test_a_candidate_that_rests_is_given_up_unless_a_gate_holds_it(
    harness: Harness, is_gated: bool
) -> None:
    harness.source.put("a.txt", b"some text")
    harness.run()
    live = harness.conn.execute("select id from generation").fetchone()
    harness.conn.execute("update collection set is_gated = %s", [is_gated])
    harness.conn.execute(
        "insert into generation (collection_id, parser_id, chunker_id, model_id, state)"
        " select collection_id, parser_id, chunker_id, parser_id, 'building' from generation"
    )

    retention.sweep(harness.conn, DAY)
    states = harness.conn.execute("select id, state from generation order by id").fetchall()
    assert [row["state"] for row in states] == ["live", "building"]  # it is young

    retention.sweep(harness.conn, 0.0)
    states = harness.conn.execute("select id, state from generation order by id").fetchall()
    assert [row["state"] for row in states] == ["live", "building" if is_gated else "retired"]
    assert live is not None and states[0]["id"] == live["id"]


def let_days_pass(harness: Harness, days: int) -> None:
    """Everything that happened so far happened so many days earlier."""
    for table, column in (
        ("parsed", "parsed_at"), ("embedding", "created_at"), ("document", "deleted_at"),
        ("document_version", "registered_at"), ("parsed", "superseded_at"),
    ):  # fmt: skip
        harness.conn.execute(
            f"update {table} set {column} = {column} - interval '{days} days'".encode()
        )


def overwrite(harness: Harness) -> None:
    harness.source.put("a.txt", b"a newer text")


def delete(harness: Harness) -> None:
    harness.source.delete("a.txt")


@pytest.mark.parametrize("change", [overwrite, delete])
def test_the_retention_counts_from_the_last_use_and_not_from_the_making(
    harness: Harness, change: Callable[[Harness], None]
) -> None:
    harness.source.put("a.txt", b"an old text")
    harness.source.put("b.txt", b"a text that stays")
    harness.run()
    let_days_pass(harness, 30)
    change(harness)
    harness.run()
    kept = rows(harness)

    assert retention.sweep(harness.conn, 7 * DAY)["parsed"] == 0
    assert rows(harness) == kept
    let_days_pass(harness, 8)
    assert retention.sweep(harness.conn, 7 * DAY) == {
        "generations": 0, "parsed": 1, "embeddings": 1,
    }  # fmt: skip
    assert_world_is_sound(harness.conn)


def test_the_retention_counts_from_the_last_document_that_had_a_text(harness: Harness) -> None:
    for name in ("a.txt", "b.txt"):
        harness.source.put(name, b"a text of two")
    harness.run()
    harness.source.delete("a.txt")
    harness.run()
    let_days_pass(harness, 30)
    harness.source.delete("b.txt")
    harness.run()

    assert retention.sweep(harness.conn, 7 * DAY)["parsed"] == 0
    let_days_pass(harness, 8)
    assert retention.sweep(harness.conn, 7 * DAY)["parsed"] == 1


def test_the_last_retired_generation_is_kept_for_a_roll_back(harness: Harness) -> None:
    harness.source.put("a.txt", b"some text")
    harness.run()
    for name in ("second", "third"):
        harness.embedder.config = {**harness.embedder.config, "model": name}
        harness.run()
    assert retention.sweep(harness.conn, 0.0)["generations"] == 1
    assert rows(harness)["search_row"] == 2
    assert len(harness.search("text").hits) == 1


def test_a_forgotten_document_leaves_no_trace_and_stays_out(harness: Harness) -> None:
    harness.source.put("secret.txt", b"the secret plan")
    harness.source.put("open.txt", b"the open plan")
    harness.run()
    collection = find_collection(harness.conn, harness.name)
    receipt = retention.erase(harness.conn, collection, harness.source.uri + "secret.txt")
    assert {what: count for what, count in receipt["removed"].items() if count} == {  # type: ignore[attr-defined]
        "documents": 1, "versions": 1, "parsed": 1, "chunks": 1, "embeddings": 1,
        "publications": 1, "search_rows": 1, "posting_segments": 1,
    }  # fmt: skip
    assert set(receipt["left"].values()) == {0}  # type: ignore[attr-defined]
    counts = harness.run()["raw_documents"]  # the object is still in the source
    assert (counts["new"], counts["deleted"]) == (0, 0)
    assert [hit.document for hit in harness.search("secret plan").hits] == ["open.txt"]
    assert rows(harness) == {
        "parsed": 1, "chunk": 1, "embedding": 1, "search_row": 1, "document": 1,
        "document_version": 1,
    }  # fmt: skip


def test_forgetting_keeps_what_another_document_holds_too(harness: Harness) -> None:
    harness.source.put("one.txt", b"shared words")
    harness.source.put("two.txt", b"shared words")
    harness.run()
    collection = find_collection(harness.conn, harness.name)
    receipt = retention.erase(harness.conn, collection, harness.source.uri + "one.txt")
    assert receipt["contents_kept_for_other_documents"] == 1
    assert [hit.document for hit in harness.search("shared words").hits] == ["two.txt"]
    assert_world_is_sound(harness.conn)


def test_forgetting_an_unknown_document_says_so(harness: Harness) -> None:
    collection = find_collection(harness.conn, harness.name)
    with pytest.raises(NotFoundError) as caught:
        retention.erase(harness.conn, collection, "fake://bucket/none.txt")
    assert caught.value.code == "document_not_found"


def test_a_chunk_is_traced_to_its_bytes_configurations_and_runs(harness: Harness) -> None:
    harness.source.put("a.txt", b"some text")
    harness.run()
    collection = find_collection(harness.conn, harness.name)
    (row,) = retention.lineage(harness.conn, collection, harness.source.uri + "a.txt")
    assert row["etag"] == harness.source.objects["a.txt"][1]
    assert row["parser"].startswith("parser-")
    assert row["chunker"].startswith("chunker-")
    assert row["model"].startswith("model-")
    runs = {row[f"{step}_by_run"] for step in ("registered", "parsed", "cut", "published")}
    assert runs == {"run-1"}


@pytest.mark.parametrize(
    "name", ["back\\slash.txt", "Übersicht 日本語.txt", "'; drop table x --.txt"]
)
def test_a_forgotten_document_of_an_odd_name_stays_out(harness: Harness, name: str) -> None:
    harness.source.put(name, b"the secret plan")
    harness.source.put("\\x41.txt", b"other words")
    harness.run()
    collection = find_collection(harness.conn, harness.name)

    retention.erase(harness.conn, collection, harness.source.uri + name)

    assert harness.run()["raw_documents"]["new"] == 0
    assert [hit.text for hit in harness.search("secret other").hits] == ["other words"]
