"""What a worker claims before it parses: the next page while one is parsed, and no more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from rag.ingest import parse
from rag.ingest.pipeline import STAGES
from rag.ingest.spool import Spool
from rag.ports import ParseJob, ParseOutcome
from rag.store import ledger
from rag.store.database import connect
from rag_assets_tests.fakes import FakeParser
from rag_assets_tests.ingest.harness import Harness

pytestmark = pytest.mark.slow

FILES = 8


def registered(harness: Harness) -> dict[str, int]:
    """Ids of the versions of so many registered files, by file name."""
    for n in range(FILES):
        harness.source.put(f"{n}.txt", f"Text {n} of the weather on the pass.".encode())
    STAGES["raw_documents"](harness.shop(), harness.shard)
    rows = harness.conn.execute("select uri, version_id from document").fetchall()
    return {row["uri"].rpartition("/")[2]: row["version_id"] for row in rows}


def most_taken(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many files were out of the spool at one time while all were parsed."""
    registered(harness)
    held: set[Path] = set()
    counts = [0]
    take, drop = Spool.take, Spool.drop

    def taken(self: Spool, content_hash: bytes) -> Path | None:
        path = take(self, content_hash)
        assert path is not None
        held.add(path)
        counts.append(len(held))
        return path

    def dropped(self: Spool, path: Path) -> None:
        held.discard(path)
        drop(self, path)

    monkeypatch.setattr(Spool, "take", taken)
    monkeypatch.setattr(Spool, "drop", dropped)
    report = STAGES["parsed_documents"](harness.shop(), harness.shard)
    assert report.counts["parsed"] == FILES
    assert not held
    return max(counts)


def test_of_large_files_one_page_is_parsed_and_one_waits(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parse, "_PAGE_BYTES", 1)
    assert most_taken(harness, monkeypatch) <= 3


def test_small_files_make_one_page(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    assert most_taken(harness, monkeypatch) == FILES


def put_copies(harness: Harness, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """So many files of one content, each larger than a page."""
    monkeypatch.setattr(parse, "_PAGE_BYTES", 1)
    for n in range(FILES):
        harness.source.put(f"{n}.txt", data)


def test_a_content_is_parsed_once_however_many_pages_hold_it(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_copies(harness, monkeypatch, b"The same text of the weather on the pass.")
    counts = harness.run()
    assert len(harness.parser.parsed) == 1
    assert counts["parsed_documents"]["up_to_date"] == FILES
    assert counts["search_index"]["served_documents"] == FILES


def test_a_broken_content_fails_each_of_its_documents(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_copies(harness, monkeypatch, b"BROKEN")
    assert harness.run()["parsed_documents"]["failed"] == FILES
    assert not harness.conn.execute("select from lease").fetchall()


def test_where_nothing_waits_no_parser_is_asked(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.source.put("a.txt", b"The lift stands.")
    harness.run()
    monkeypatch.delattr(FakeParser, "parse")  # on Ray it would join a cluster
    assert harness.run()["parsed_documents"]["up_to_date"] == 1


class Watching(FakeParser):
    """Notes at each file how often each version was claimed by then."""

    def watch(self, database_url: str) -> None:
        self.database_url = database_url
        self.claims: list[tuple[str, Counter[int]]] = []

    def parse(self, jobs: Iterable[ParseJob]) -> Iterator[ParseOutcome]:
        for job in jobs:
            with connect(self.database_url) as conn:
                rows = conn.execute("select attempts from lease where stage = 'parse'").fetchall()
            self.claims.append((job.name, Counter(row["attempts"] for row in rows)))
            yield from super().parse([job])


def test_what_a_dead_worker_had_in_hand_is_claimed_last_and_alone(harness: Harness) -> None:
    ids = registered(harness)
    left = ["1.txt", "4.txt", "6.txt"]
    ledger.claim(harness.conn, "parse", uuid4(), [ids[name] for name in left], 60.0)
    parser = harness.parser = Watching()
    parser.watch(harness.database_url)
    report = STAGES["parsed_documents"](harness.shop(), harness.shard)
    assert report.counts["parsed"] == FILES
    assert [name for name, _ in parser.claims[-3:]] == left
    # the attempt of the file in hand is counted, those of the files after it are not
    assert [counts[2] for _, counts in parser.claims[-3:]] == [1, 1, 1]
    assert [counts[1] for _, counts in parser.claims[-3:]] == [2, 1, 0]
    assert not harness.conn.execute("select from lease").fetchall()
