"""What a run of a partition does, and what it leaves for people to read."""

from __future__ import annotations

import pytest

from rag.errors import PolicyError, UnavailableError
from rag.ingest.pipeline import STAGES
from rag_assets import failures
from rag_assets_tests.assets.bench import DAGSTER_WARNINGS, Bench, counts, failure_of, retries
from rag_assets_tests.world import assert_world_is_sound, served

pytestmark = [pytest.mark.slow, DAGSTER_WARNINGS]

ALPHA = b"# Alpha\n\nThe tide turns at nine."
BETA = b"# Beta\n\nNobody rings the bell."


def test_a_run_brings_a_collection_from_its_source_into_search(bench: Bench) -> None:
    source = bench.collect()
    source.put("a.txt", ALPHA)
    source.put("b.txt", BETA)

    result = bench.run()

    assert result.success
    assert list(served(bench.conn, "acme/docs")) == ["fake://bucket/a.txt", "fake://bucket/b.txt"]
    assert_world_is_sound(bench.conn)
    shown = counts(result)
    assert shown["raw_documents"]["new"] == 2
    assert shown["raw_documents"]["bytes"] == len(ALPHA) + len(BETA)
    assert shown["parsed_documents"]["parsed"] == 2
    assert shown["embeddings"]["dimension"] == 384
    assert shown["embeddings"]["embedded"] == shown["chunks"]["chunks"]
    assert shown["search_index"]["served_documents"] == 2
    assert "| fake://bucket/a.txt |" in str(shown["chunks"]["preview"])
    time = str(shown["search_index"]["time"])
    assert [line.split(" | ")[0] for line in time.split("\n")[2:]] == [
        *(f"| {stage}" for stage in STAGES), "| between the stages",
    ]  # fmt: skip


def test_chunks_and_index_show_where_a_few_chunks_come_from(bench: Bench) -> None:
    bench.collect().put("a.txt", ALPHA)

    result = bench.run()

    shown = counts(result)
    (version,) = bench.conn.execute(
        "select id, encode(content_hash, 'hex') as content_hash from document_version"
    ).fetchall()
    for stage in ("chunks", "search_index"):
        lineage = str(shown[stage]["lineage"])
        first = lineage.split("\n")[2]
        assert f"| fake://bucket/a.txt | 0 | {version['id']} |" in first
        assert version["content_hash"][:16] in first
        assert f"[cut](/runs/{result.run_id})" in first
        assert "rag lineage acme/docs fake://bucket/a.txt --chunk 0 |" in first
    assert f"[published](/runs/{result.run_id})" in str(shown["search_index"]["lineage"])
    assert "lineage" not in counts(bench.run())["search_index"]  # nothing was published


def test_every_stage_shows_whole_counts_its_seconds_and_its_failures(bench: Bench) -> None:
    bench.collect().put("a.txt", ALPHA)

    shown = counts(bench.run())

    assert len(shown) == 5
    for stage, values in shown.items():
        assert values["failures"] == "none", stage
        assert isinstance(values["seconds"], float), stage
        assert isinstance(values["failed"], int), stage
        assert isinstance(values["dagster/partition_row_count"], int), stage


def test_a_second_run_parses_and_embeds_nothing(bench: Bench) -> None:
    bench.collect().put("a.txt", ALPHA)
    bench.run()

    shown = counts(bench.run())

    assert shown["raw_documents"]["unchanged"] == 1
    assert shown["parsed_documents"]["parsed"] == 0
    assert shown["chunks"]["chunks"] == 0
    assert shown["embeddings"]["embedded"] == 0
    assert shown["search_index"]["documents"] == 0
    assert bench.parser.parsed == ["a.txt"]
    assert bench.embedder.calls == 1


def test_one_broken_document_is_listed_and_the_others_are_searchable(bench: Bench) -> None:
    source = bench.collect()
    for number in range(9):
        source.put(f"good-{number}.txt", b"Good text %d." % number)
    source.put("bad.txt", b"BROKEN")

    result = bench.run()

    assert result.success
    assert len(served(bench.conn, "acme/docs")) == 9
    shown = counts(result)["parsed_documents"]
    assert shown["failed"] == 1
    assert "| fake://bucket/bad.txt | parse | corrupt_file |" in str(shown["failures"])


def test_a_shard_takes_its_own_documents_only(bench: Bench) -> None:
    source = bench.collect(shards=2)
    for number in range(8):
        source.put(f"{number}.txt", b"Text %d." % number)

    first = counts(bench.run("acme/docs/00"))["raw_documents"]["new"]
    second = counts(bench.run("acme/docs/01"))["raw_documents"]["new"]

    assert isinstance(first, int)
    assert isinstance(second, int)
    assert min(first, second) > 0
    assert first + second == 8
    assert len(served(bench.conn, "acme/docs")) == 8


def test_an_unreachable_source_is_retried_and_then_fails_with_its_reason(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "RETRY_AFTER_S", 0.0)
    bench.collect()
    bench.unreachable["fake://bucket/"] = UnavailableError("The bucket does not answer.")

    result = bench.run()

    assert not result.success
    assert retries(result) == 2
    assert "The bucket does not answer." in failure_of(result)


def test_an_error_that_no_retry_can_help_fails_at_once(bench: Bench) -> None:
    bench.collect()
    bench.unreachable["fake://bucket/"] = PolicyError("Not allowed: ask for access.")

    result = bench.run()

    assert retries(result) == 0
    assert failure_of(result) == "Not allowed: ask for access."


def test_a_partition_of_no_collection_says_what_to_do(bench: Bench) -> None:
    assert "rag collection create" in failure_of(bench.run("acme/ghost"))


def test_a_partition_left_by_another_number_of_shards_is_refused(bench: Bench) -> None:
    bench.collect()

    assert "does not fit" in failure_of(bench.run("acme/docs/03"))
