"""parsed_documents: turn registered bytes into text, each content once per namespace."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from operator import itemgetter
from pathlib import Path
from uuid import UUID, uuid4

from rag.batches import batched, batched_by, batched_within
from rag.errors import PoisonError, RagError, TransientError
from rag.ingest.attachments import unpack_attachments
from rag.ingest.contents import take_content
from rag.ingest.retry import file_failures, is_outage
from rag.ingest.terms import Terms, terms_of
from rag.ingest.workshop import StageReport, Workshop, recorded_stage
from rag.model import Shard
from rag.ports import ParseJob, ParseOutcome
from rag.store import content, ledger
from rag.store.content import Build, ParsedContent
from rag.store.database import Row, connect
from rag.store.ledger import Failure
from rag.store.statistics import refresh_statistics

BATCH = 128
# what is parsed is kept after so long, or once the next page is fetched: a crash loses no more
KEEP_S = 1.0
_PAGE_BYTES = 256 * 1024**2  # of the files that lie on the disk together


@dataclass(frozen=True, slots=True)
class Task:
    """One content to parse, with every document version that waits for it."""

    content_hash: bytes
    rows: tuple[Row, ...]
    attempts: int


def parse_documents(shop: Workshop, shard: Shard) -> StageReport:
    """Parse what the shard lacks under the parser in force. A file that fails leaves the old
    version searchable; one that kills its worker is tried at most `max_attempts` times."""
    build = shop.build(shard)
    terms = terms_of(shop.settings, shard.name)
    owner = uuid4()
    with recorded_stage(shop, shard, "parsed_documents") as report, _heartbeat(shop, owner):
        for name in ("parsed", "partial", "pages", "words", "attachments"):
            report.add(name, 0)
        _parse_waiting(shop, terms, build, owner, report)
        # what is attached to a mail may be a mail again
        while unpack_attachments(shop, terms, build, report):
            _parse_waiting(shop, terms, build, owner, report)
        content.resolve(shop.conn, "resolve_parsed", build)
        report.facts["parser"] = shop.parser_name
        _add_totals(shop, build, report)
    return report


def _parse_waiting(
    shop: Workshop, terms: Terms, build: Build, owner: UUID, report: StageReport
) -> None:
    """First what is new, a page claimed while the one before is parsed; then, one by one, what a
    worker had in hand before and did not end. So a file that kills its worker spends no other
    file's attempts."""
    name = shop.parser_name
    waiting: list[list[int]] = [
        row["version_ids"]
        for row in content.select(shop.conn, "unparsed_ids", build, fingerprint=name)
    ]
    if not waiting:
        return  # a parser may have a cluster to join
    again: list[Task] = []

    def claimed() -> Iterator[list[Task]]:
        for some in batched(waiting, BATCH):
            ids = list(itertools.chain.from_iterable(some))
            rows = content.select(shop.conn, "unparsed", build, fingerprint=name, ids=ids)
            for page in batched_by(_contents(rows), _size, _PAGE_BYTES):
                tasks = _claim(shop, owner, page)
                suspects = [task for task in tasks if task.attempts > 1]
                _refund(shop, owner, suspects)
                again.extend(suspects)
                yield [task for task in tasks if task.attempts == 1]

    parsing = _Parsing(shop, terms, build, owner, report, sum(map(len, waiting)))
    parsing.parse(claimed())
    for task in again:
        parsing.parse(iter([_claim(shop, owner, [task.rows])]))


def _add_totals(shop: Workshop, build: Build, report: StageReport) -> None:
    counts = content.select_one(shop.conn, "stage_counts", build)
    report.add("documents", counts["documents"])
    report.add("up_to_date", counts["parsed"])


def _contents(rows: Iterable[Row]) -> Iterator[tuple[Row, ...]]:
    """The versions of each content, which come one after the other."""
    return (tuple(group) for _, group in itertools.groupby(rows, itemgetter("content_hash")))


def _size(versions: Sequence[Row]) -> int:
    return versions[0]["size_bytes"] or 0


def _claim(shop: Workshop, owner: UUID, contents: Sequence[Sequence[Row]]) -> list[Task]:
    """One task per content, of the versions nobody else works on."""
    ids = [row["version_id"] for versions in contents for row in versions]
    claimed = ledger.claim(shop.conn, "parse", owner, ids, shop.settings.lease_s)
    tasks: list[Task] = []
    for versions in contents:
        own = tuple(row for row in versions if row["version_id"] in claimed)
        if own:
            attempts = max(claimed[row["version_id"]] for row in own)
            tasks.append(Task(bytes(own[0]["content_hash"]), own, attempts))
    return tasks


def _refund(shop: Workshop, owner: UUID, tasks: Iterable[Task]) -> None:
    """Give claims back as if they had never been made."""
    ids = [row["version_id"] for task in tasks for row in task.rows]
    if ids:
        ledger.release(shop.conn, "parse", owner, ids, refund=True)


@dataclass(slots=True)
class _Parsing:
    """The way of files from the claim through the parser to the database. One other thread has the
    connection: it claims and fetches a page, and keeps what is parsed, while others are parsed."""

    shop: Workshop
    terms: Terms
    build: Build
    owner: UUID
    report: StageReport
    total: int
    _tasks: dict[int, Task] = field(default_factory=dict)  # claimed and not kept, by key
    _paths: dict[int, Path] = field(default_factory=dict)  # their files, until they are parsed
    _keys: Iterator[int] = field(default_factory=itertools.count)
    _done: int = 0

    def parse(self, claimed: Iterator[list[Task]]) -> None:
        """Parse and keep all that is claimed."""
        try:
            with ThreadPoolExecutor(1, thread_name_prefix="database") as database:
                self._keep_while_parsing(database, claimed)
        finally:
            for path in self._paths.values():
                self.shop.spool.drop(path)
            self._paths.clear()
            # whatever ended the work early was no document's fault
            _refund(self.shop, self.owner, self._tasks.values())
            self._tasks.clear()

    def _keep_while_parsing(
        self, database: ThreadPoolExecutor, claimed: Iterator[list[Task]]
    ) -> None:
        outcomes = map(self._parsed, self.shop.parser.parse(self._jobs(database, claimed)))
        keeping: Future[None] | None = None
        for batch in batched_within(outcomes, BATCH, KEEP_S):
            if keeping is not None:
                keeping.result()
                self._tell()
            keeping = database.submit(self._keep, batch)
        if keeping is not None:
            keeping.result()
        self._tell()  # of those too that could not be fetched

    def _tell(self) -> None:
        self.shop.progress("parsed_documents", self._done, self.total)

    def _jobs(
        self, database: ThreadPoolExecutor, claimed: Iterator[list[Task]]
    ) -> Iterator[ParseJob]:
        pages = self._fetched(claimed)
        coming = database.submit(next, pages, None)
        try:
            while (page := coming.result()) is not None:
                coming = database.submit(next, pages, None)
                yield from page
        finally:
            coming.cancel()

    def _fetched(self, claimed: Iterator[list[Task]]) -> Iterator[list[ParseJob]]:
        """Fetch what the spool lacks; what can not be had or was tried too often ends here."""
        for tasks in claimed:
            page = dict(zip(self._keys, tasks, strict=False))
            self._tasks |= page
            jobs: list[ParseJob] = []
            failed: list[ParseOutcome] = []
            for key, task in page.items():
                try:
                    jobs.append(self._job(key, task))
                except RagError as error:
                    failed.append(ParseOutcome(key, None, error, 0.0))
            if failed:
                self._keep(failed)
            yield jobs

    def _job(self, key: int, task: Task) -> ParseJob:
        _refuse_repeat_killer(self.shop, task)
        path = self._paths[key] = take_content(self.shop, self.terms, task.rows[0])
        job = self.terms.job(key, path, task.rows[0]["uri"])
        return replace(job, on_page=partial(self.shop.on_page, job.name))

    def _parsed(self, outcome: ParseOutcome) -> ParseOutcome:
        """The outcome, its file put away."""
        path = self._paths.pop(outcome.key)
        if outcome.document is not None and "attachments" in outcome.document.metadata:
            # to be unpacked
            self.shop.spool.give_back(path, self._tasks[outcome.key].content_hash)
        else:
            self.shop.spool.drop(path)
        return outcome

    def _keep(self, outcomes: Sequence[ParseOutcome]) -> None:
        ended = [(self._tasks[outcome.key], outcome) for outcome in outcomes]
        self._write(ended)
        for outcome in outcomes:
            del self._tasks[outcome.key]
        self._done += sum(len(task.rows) for task, _ in ended)
        documents = [outcome.document for outcome in outcomes if outcome.document is not None]
        self.report.add("parsed", len(documents))
        self.report.add("partial", sum(document.is_partial for document in documents))
        self.report.add("pages", sum(document.page_count or 0 for document in documents))
        self.report.add("words", sum(document.word_count for document in documents))
        # or the plan made while the table was empty would read all of it for each page
        refresh_statistics(self.shop.conn)

    def _write(self, outcomes: Sequence[tuple[Task, ParseOutcome]]) -> None:
        conn = self.shop.conn
        parsed = [
            ParsedContent(task.content_hash, outcome.document, outcome.seconds)
            for task, outcome in outcomes
            if outcome.document is not None
        ]
        with conn.transaction():
            content.insert_parsed(conn, self.build, parsed, self.shop.run_id)
            file_failures(self.shop, self._failures(outcomes))
            waiting = [o for o in outcomes if isinstance(o[1].error, TransientError)]
            ended = [o for o in outcomes if not isinstance(o[1].error, TransientError)]
            ledger.complete(conn, "parse", _version_ids(ended))
            for refund in (True, False):
                ids = _version_ids(o for o in waiting if is_outage(o[1].error) == refund)
                if ids:
                    ledger.release(conn, "parse", self.owner, ids, refund=refund)

    def _failures(self, outcomes: Sequence[tuple[Task, ParseOutcome]]) -> Iterator[Failure]:
        for task, outcome in outcomes:
            if outcome.error is None:
                continue
            for row in task.rows:
                yield Failure(
                    document_id=row["document_id"],
                    version_id=row["version_id"],
                    uri=row["uri"],
                    stage="parse",
                    error=outcome.error,
                    attempts=task.attempts,
                    fingerprint=self.shop.parser_name,
                )


def _refuse_repeat_killer(shop: Workshop, task: Task) -> None:
    if task.attempts > shop.settings.max_attempts:
        raise PoisonError(
            f"The worker died {task.attempts - 1} times while parsing this file: it is not tried "
            "again until it changes or `rag retry` asks for it.",
            code="worker_died",
        )


def _version_ids(outcomes: Iterable[tuple[Task, ParseOutcome]]) -> list[int]:
    return [row["version_id"] for task, _ in outcomes for row in task.rows]


@contextmanager
def _heartbeat(shop: Workshop, owner: UUID) -> Iterator[None]:
    """Beat on a connection of its own while the work goes on."""
    done = threading.Event()

    def beat() -> None:
        # a lost database is reported by the work itself, which uses it far more often
        with suppress(RagError), connect(shop.database_url) as conn:
            while not done.wait(shop.settings.lease_s / 3):
                ledger.beat(conn, owner)

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        with ledger.presence(shop.conn, owner):
            yield
    finally:
        done.set()
        thread.join(timeout=10)
