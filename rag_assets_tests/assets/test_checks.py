"""Each check goes red when its claim is broken, in its own partition, and blocks when it must."""

from __future__ import annotations

import dagster as dg
import pytest

from rag_assets.checks import CONTRACTS
from rag_assets_tests.assets.bench import (
    DAGSTER_WARNINGS,
    Bench,
    check_results,
    counts,
    failure_of,
)

pytestmark = [pytest.mark.slow, DAGSTER_WARNINGS]

WARN, ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR
ALL = {contract.judge.__name__ for contracts in CONTRACTS.values() for contract in contracts} | {
    "candidate_passes_gate"
}


def _with_documents(bench: Bench, number: int = 3) -> None:
    source = bench.collect()
    for index in range(number):
        source.put(f"{index}.txt", b"# Title %d\n\nSome text number %d." % (index, index))


def test_all_claims_hold_for_sound_documents(bench: Bench) -> None:
    _with_documents(bench)

    results = check_results(bench.run())

    assert set(results) == ALL
    assert [name for name, item in results.items() if not item.passed] == []


def test_all_claims_hold_for_an_empty_collection(bench: Bench) -> None:
    bench.collect()

    results = check_results(bench.run())

    assert [name for name, item in results.items() if not item.passed] == []


def test_a_few_unreadable_files_are_a_warning(bench: Bench) -> None:
    _with_documents(bench, 9)
    bench.sources["fake://bucket/"].put("bad.txt", b"BROKEN")

    result = bench.run()
    item = check_results(result)["parse_failures"]

    assert result.success
    assert (item.passed, item.severity) == (False, WARN)
    assert "corrupt_file" in str(item.metadata["failures"].value)


def test_many_unreadable_files_are_an_error(bench: Bench) -> None:
    _with_documents(bench, 2)
    bench.sources["fake://bucket/"].put("bad.txt", b"BROKEN")

    item = check_results(bench.run())["parse_failures"]

    assert (item.passed, item.severity) == (False, ERROR)
    assert item.metadata["failed_share"].value == pytest.approx(1 / 3, abs=1e-3)


def test_an_object_over_the_size_limit_shows_as_a_fetch_failure(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_MAX_FILE_BYTES", "10")
    _with_documents(bench, 1)

    item = check_results(bench.run())["fetch_failures"]

    assert not item.passed
    assert "file_too_large" in str(item.metadata["failures"].value)


def test_held_back_deletions_are_a_warning(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_DELETION_FLOOR", "0")
    _with_documents(bench, 3)
    bench.run()
    bench.sources["fake://bucket/"].objects.clear()

    result = bench.run()
    item = check_results(result)["nothing_held"]

    assert (item.passed, item.severity) == (False, WARN)
    assert item.metadata["documents_held"].value == 3
    assert item.metadata["command"].value == "`rag confirm-deletions acme/docs`"
    assert "| fake://bucket/ | 3 | 20" in str(item.metadata["held"].value)
    assert str(item.metadata["held_since"].value).startswith("20")
    assert counts(result)["search_index"]["served_documents"] == 3


def test_a_document_without_words_is_a_warning(bench: Bench) -> None:
    _with_documents(bench, 2)
    bench.sources["fake://bucket/"].put("scan.txt", b"  \n ")

    item = check_results(bench.run())["text_not_empty"]

    assert (item.passed, item.severity) == (False, WARN)
    assert item.metadata["empty"].value == 1


# (what breaks, what notices it, what must not run after it)
BREAKAGES = [
    ("update chunk set tokens = 999", "chunk_sizes_in_bounds", "embeddings"),
    ("update chunk set text = ' '", "chunk_sizes_in_bounds", "embeddings"),
    (
        "update embedding set vector = vector * array_fill(2, array[384])::halfvec",
        "embeddings_complete_and_sound",
        "search_index",
    ),
    (
        "update embedding set vector = '[1,0,0]'",
        "embeddings_complete_and_sound",
        "search_index",
    ),
]


@pytest.mark.parametrize(("sabotage", "check", "stopped"), BREAKAGES)
def test_a_blocking_check_stops_what_comes_after_it(
    bench: Bench, sabotage: str, check: str, stopped: str
) -> None:
    _with_documents(bench)
    bench.run()
    bench.conn.execute(sabotage.encode())

    result = bench.run()

    assert not result.success
    item = check_results(result)[check]
    assert (item.passed, item.severity, item.blocking) == (False, ERROR, True)
    assert stopped not in counts(result)


INDEX_PARITY = dg.AssetCheckKey(dg.AssetKey("search_index"), "index_parity")
INDEX_FAULTS = [
    "delete from search_row where ctid = (select min(ctid) from search_row_shared)",
    "delete from publication where document_id = (select min(document_id) from publication)",
    "update document set deleted_at = now() where id = (select min(id) from document)",
]


@pytest.mark.parametrize("sabotage", INDEX_FAULTS)
def test_an_index_that_differs_from_what_was_published_fails_the_run(
    bench: Bench, sabotage: str
) -> None:
    _with_documents(bench)
    bench.run()
    bench.conn.execute(sabotage.encode())

    result = bench.run(checks=[INDEX_PARITY])
    item = check_results(result)["index_parity"]

    assert (item.passed, item.severity, item.blocking) == (False, ERROR, True)
    assert not result.success
    assert "index_parity" in failure_of(result)


def test_each_evaluation_belongs_to_the_partition_of_its_run(bench: Bench) -> None:
    bench.collect("acme/one", "fake://one/").put("a.txt", b"BROKEN")
    bench.collect("acme/two", "fake://two/").put("b.txt", b"Sound text.")
    bench.run("acme/one")
    bench.run("acme/two")

    history = bench.instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(dg.AssetKey("parsed_documents"), "parse_failures"), limit=10
    )

    assert {(row.partition, row.status.value) for row in history} == {
        ("acme/one", "FAILED"),
        ("acme/two", "SUCCEEDED"),
    }


def test_a_run_over_a_range_of_partitions_is_refused(bench: Bench) -> None:
    bench.collect("acme/one", "fake://one/").put("a.txt", b"Text.")
    bench.collect("acme/two", "fake://two/")

    result = bench.run_range("acme/one", "acme/two")

    assert not result.success
    assert "launch a backfill" in failure_of(result)
    assert check_results(result) == {}
