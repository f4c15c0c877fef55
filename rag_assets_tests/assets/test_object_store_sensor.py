"""What the sensor asks for, and what it lets rest."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator

import dagster as dg
import pytest

from rag.errors import UnavailableError
from rag.model import CollectionName, Listing, SourceObject
from rag.ports import ParseJob, ParseOutcome
from rag.store import manifest
from rag.store.collections import find_collection
from rag_assets_tests.assets.bench import DAGSTER_WARNINGS, Bench, counts, leave_a_run
from rag_assets_tests.fakes import FakeParser
from rag_assets_tests.fakes_source import START, FakeSource
from rag_assets_tests.world import served
from sensors import object_store

pytestmark = [pytest.mark.slow, DAGSTER_WARNINGS]

ACME = CollectionName("acme", "docs")


class ParserDuringAnUpload(FakeParser):
    """While it parses, somebody puts another file into the source."""

    def __init__(self, source: FakeSource) -> None:
        super().__init__()
        self._source = source

    def parse(self, jobs: Iterable[ParseJob]) -> Iterator[ParseOutcome]:
        self._source.put("late.txt", b"Late.")
        yield from super().parse(jobs)


class SlowSource(FakeSource):
    """Its listing names everything, and then takes its time to end."""

    seconds = 0.0

    def list(self) -> Listing:
        def scan() -> Generator[SourceObject, None, bool]:
            yield from self.objects_now()
            time.sleep(self.seconds)
            return True

        return Listing.scanned(scan())

    def objects_now(self) -> tuple[SourceObject, ...]:
        return super().list().objects


def slow_down(bench: Bench, uri: str, seconds: float) -> SlowSource:
    source = SlowSource(uri, objects=bench.sources[uri].objects)
    source.seconds = seconds
    bench.sources[uri] = source
    return source


def skip_reason(result: dg.SensorResult) -> str:
    assert not result.run_requests
    assert result.skip_reason is not None
    return str(result.skip_reason.skip_message)


def partitions(result: dg.SensorResult) -> list[str | None]:
    return [request.partition_key for request in result.run_requests or []]


def test_without_sources_it_says_how_to_make_one(bench: Bench) -> None:
    assert "rag collection create" in skip_reason(bench.tick())


def test_an_empty_source_is_nothing_new(bench: Bench) -> None:
    bench.collect()

    assert skip_reason(bench.tick()) == "1 source, nothing new"


def test_a_new_file_asks_for_one_run_of_its_partition(bench: Bench) -> None:
    bench.collect().put("a.txt", b"Text.")

    (request,) = bench.tick().run_requests or []

    assert request.partition_key == "acme/docs"
    assert request.tags["rag/reason"] == "fake://bucket/: 1 new"


def test_partitions_of_new_collections_are_added(bench: Bench) -> None:
    bench.collect(shards=3).put("a.txt", b"Text.")

    bench.tick()

    assert set(bench.instance.get_dynamic_partitions("collections")) == {
        "acme/docs/00",
        "acme/docs/01",
        "acme/docs/02",
    }


def test_after_the_run_nothing_is_new(bench: Bench) -> None:
    bench.collect().put("a.txt", b"Text.")

    assert bench.run_requested().success

    assert skip_reason(bench.tick()) == "1 source, nothing new"


def test_two_files_written_in_the_same_second_are_both_found(bench: Bench) -> None:
    source = bench.collect()
    source.put("a.txt", b"First.")
    bench.run_requested()
    source.put("b.txt", b"Second.")
    assert [modified for _, _, modified in source.objects.values()] == [START, START]

    bench.run_requested()

    assert len(served(bench.conn, "acme/docs")) == 2


def test_an_overwritten_file_is_found(bench: Bench) -> None:
    source = bench.collect()
    source.put("a.txt", b"First.")
    bench.run_requested()
    source.put("a.txt", b"Second.")

    bench.run_requested()

    assert served(bench.conn, "acme/docs") == {"fake://bucket/a.txt": "Second."}


def test_a_deleted_file_is_found(bench: Bench) -> None:
    source = bench.collect()
    source.put("a.txt", b"First.")
    bench.run_requested()
    source.delete("a.txt")

    bench.run_requested()

    assert served(bench.conn, "acme/docs") == {}


def test_an_incomplete_listing_deletes_nothing(bench: Bench) -> None:
    source = bench.collect()
    source.put("a.txt", b"First.")
    bench.run_requested()
    source.delete("a.txt")
    source.is_complete = False

    assert "listed in part" in skip_reason(bench.tick())


def test_only_the_shard_that_has_work_is_run(bench: Bench) -> None:
    bench.collect(shards=4).put("a.txt", b"Text.")

    assert len(partitions(bench.tick())) == 1


@pytest.mark.parametrize(
    "status",
    [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED],
)
def test_while_a_run_is_under_way_no_other_is_asked_for(
    bench: Bench, status: dg.DagsterRunStatus
) -> None:
    bench.collect().put("a.txt", b"Text.")
    bench.collect("acme/other", "fake://other/").put("b.txt", b"Text.")
    leave_a_run(bench, status)

    assert partitions(bench.tick()) == ["acme/other"]


def test_a_file_that_arrives_during_a_run_is_found_after_it(bench: Bench) -> None:
    source = bench.collect()
    source.put("a.txt", b"First.")
    bench.parser = ParserDuringAnUpload(source)
    bench.run_requested()

    bench.run_requested()

    assert len(served(bench.conn, "acme/docs")) == 2


def test_the_same_work_keeps_its_run_key_until_a_run_has_ended(bench: Bench) -> None:
    bench.collect().put("a.txt", b"Text.")
    first, second = bench.tick(), bench.tick()
    leave_a_run(bench, dg.DagsterRunStatus.SUCCESS)
    third = bench.tick()

    keys = [(result.run_requests or [])[0].run_key for result in (first, second, third)]

    assert keys[0] == keys[1]
    assert keys[2] != keys[0]


def test_after_a_failed_run_it_waits_before_it_tries_again(bench: Bench) -> None:
    bench.collect().put("a.txt", b"Text.")
    leave_a_run(bench, dg.DagsterRunStatus.FAILURE)

    assert "acme/docs failed 1 times, next try at" in skip_reason(bench.tick())


def test_a_run_that_changed_nothing_is_not_asked_for_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_DELETION_FLOOR", "0")
    source = bench.collect()
    source.put("a.txt", b"Text.")
    bench.run_requested()
    source.delete("a.txt")
    bench.run_requested()

    assert "acme/docs waits: fake://bucket/: 1 vanished" in skip_reason(bench.tick())


def test_held_back_deletions_are_asked_for_once_they_are_confirmed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_DELETION_FLOOR", "0")
    source = bench.collect()
    source.put("a.txt", b"Text.")
    bench.run_requested()
    source.delete("a.txt")
    bench.run_requested()
    monkeypatch.setenv("RAG_DELETION_CONFIRM_S", "0.001")

    assert counts(bench.run_requested())["raw_documents"]["deleted"] == 1


def test_a_confirmation_asks_for_every_shard_that_holds_something(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_all() -> list[str | None]:
        requests = bench.tick().run_requests or []
        for request in requests:
            assert bench.run(str(request.partition_key), request.tags).success
        return [request.partition_key for request in requests]

    monkeypatch.setenv("RAG_DELETION_FLOOR", "0")
    source = bench.collect(shards=2)
    for number in range(6):
        source.put(f"{number}.txt", b"Text.")
    both = run_all()
    source.objects.clear()
    assert run_all() == both == ["acme/docs/00", "acme/docs/01"]
    assert run_all() == []
    manifest.confirm_deletions(bench.conn, find_collection(bench.conn, ACME).id)

    assert run_all() == both
    assert served(bench.conn, "acme/docs") == {}


def test_documents_left_unpublished_by_a_crash_are_work(bench: Bench) -> None:
    bench.collect().put("a.txt", b"Text.")
    bench.run_requested()
    bench.conn.execute(b"delete from publication")

    (request,) = bench.tick().run_requests or []

    assert request.tags["rag/reason"] == "1 documents registered, not yet searchable"


def test_a_retry_that_is_due_is_work(bench: Bench) -> None:
    bench.collect().put("a.txt", b"Text.")
    bench.parser.errors["a.txt"] = UnavailableError("The parser is busy.")
    bench.run_requested()
    assert skip_reason(bench.tick()) == "1 source, nothing new"
    bench.conn.execute(b"update dead_letter set next_retry_at = now() - interval '1 s'")
    bench.parser.errors.clear()

    bench.run_requested()

    assert len(served(bench.conn, "acme/docs")) == 1


def test_a_source_that_does_not_answer_is_named_and_stops_no_other(bench: Bench) -> None:
    bench.collect()
    bench.collect("acme/other", "fake://other/").put("b.txt", b"Text.")
    bench.unreachable["fake://bucket/"] = UnavailableError("no such host")

    assert partitions(bench.tick()) == ["acme/other"]

    bench.sources["fake://other/"].objects.clear()
    assert "fake://bucket/ can not be read: no such host" in skip_reason(bench.tick())


def test_a_database_that_does_not_answer_is_a_reason_to_skip(bench: Bench) -> None:
    bench.collect()
    bench.database_url = "postgresql://rag@127.0.0.1:1/rag"

    assert "Postgres does not answer" in skip_reason(bench.tick())


def test_when_time_runs_out_the_next_tick_goes_on_where_it_stopped(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_store, "BUDGET_S", 1.0)
    for name in ["acme/a", "acme/b", "acme/c"]:
        bench.collect(name, f"fake://{name}/").put("a.txt", b"Text.")
        slow_down(bench, f"fake://{name}/", 1.5)

    assert [partitions(bench.tick()) for _ in range(4)] == [
        ["acme/a"],
        ["acme/b"],
        ["acme/c"],
        ["acme/a"],
    ]


def test_a_listing_that_does_not_end_loses_neither_the_tick_nor_the_other_collections(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_store, "BUDGET_S", 1.0)
    bench.collect("acme/endless", "fake://endless/")
    slow_down(bench, "fake://endless/", 20.0)
    bench.collect("acme/other", "fake://other/").put("b.txt", b"Text.")
    began = time.monotonic()

    assert "not listed to its end in time" in skip_reason(bench.tick())
    assert partitions(bench.tick()) == ["acme/other"]

    assert time.monotonic() - began < 15.0


def test_a_source_that_began_late_comes_first_in_the_next_tick(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_store, "BUDGET_S", 4.0)
    bench.collect("acme/before", "fake://before/")
    bench.collect().put("a.txt", b"Text.")
    bench.run_requested()
    for uri in bench.sources:
        slow_down(bench, uri, 2.5)
    bench.sources["fake://bucket/"].delete("a.txt")

    assert "not listed to its end" in skip_reason(bench.tick())
    assert partitions(bench.tick()) == ["acme/docs"]  # only a whole listing tells of a deletion


class TellingSource(FakeSource):
    """Says what it amounts to; counts its listings."""

    listings = 0

    def state(self) -> str:
        return str(sorted(self.objects.items()))

    def list(self) -> Listing:
        self.listings += 1
        return super().list()


def test_a_source_that_says_it_is_as_it_was_is_not_listed_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.collect()
    source = bench.sources["fake://bucket/"] = TellingSource("fake://bucket/")
    source.put("a.txt", b"Text.")
    bench.run_requested()
    bench.tick()  # finds nothing to do, and remembers
    before = source.listings

    assert not bench.tick().run_requests
    assert source.listings == before

    source.put("a.txt", b"Other text.")
    assert partitions(bench.tick()) == ["acme/docs"]
    assert source.listings == before + 1

    bench.run_requested()
    bench.tick()
    before = source.listings
    monkeypatch.setattr(object_store, "SETTLED_S", 0.0)
    bench.tick()
    assert source.listings == before + 1
