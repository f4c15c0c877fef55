"""parsed_documents: turn registered bytes into text, each content once per namespace."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID, uuid4

from rag.errors import PoisonError, RagError, TransientError
from rag.fingerprint import fingerprint
from rag.ingest.attachments import unpack_attachments
from rag.ingest.batches import batched, batched_within
from rag.ingest.contents import take_content
from rag.ingest.retry import retry_in
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
# what is parsed is kept after so long at the latest: a crash loses no more than that
KEEP_S = 1.0


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
        content.resolve_parsed(shop.conn, build)
        report.facts["parser"] = fingerprint("parser", shop.parser.config)
        _add_totals(shop, build, report)
    return report


def _parse_waiting(
    shop: Workshop, terms: Terms, build: Build, owner: UUID, report: StageReport
) -> None:
    counts = content.select_one(shop.conn, "stage_counts", build)
    total = counts["documents"] - counts["parsed"]
    done = 0
    for rows in _pages(shop, build):
        for tasks in _claimed_batches(shop, owner, rows):
            done += _parse_batch(shop, terms, build, owner, tasks, report)
            # or the plan made while the table was empty would read all of it for each page
            refresh_statistics(shop.conn)
            shop.progress("parsed_documents", done, total)


def _add_totals(shop: Workshop, build: Build, report: StageReport) -> None:
    counts = content.select_one(shop.conn, "stage_counts", build)
    report.add("documents", counts["documents"])
    report.add("up_to_date", counts["parsed"])


def _pages(shop: Workshop, build: Build) -> Iterator[list[Row]]:
    name = fingerprint("parser", shop.parser.config)
    waiting = content.select(shop.conn, "unparsed_ids", build, fingerprint=name)
    for ids in batched([row["version_id"] for row in waiting], BATCH):
        rows = content.select(shop.conn, "unparsed", build, fingerprint=name, ids=list(ids))
        if rows:
            yield rows


def _claimed_batches(shop: Workshop, owner: UUID, rows: Sequence[Row]) -> Iterator[list[Task]]:
    """What nobody else works on: together what is new, then one by one what a worker had in hand
    before and did not end. So a file that kills its worker spends no other file's attempts."""
    tasks = _claim(shop, owner, rows)
    again = [task for task in tasks if task.attempts > 1]
    ids = [row["version_id"] for task in again for row in task.rows]
    if ids:
        ledger.release(shop.conn, "parse", owner, ids, refund=True)
    yield [task for task in tasks if task.attempts == 1]
    for task in again:
        yield _claim(shop, owner, task.rows)


def _claim(shop: Workshop, owner: UUID, rows: Sequence[Row]) -> list[Task]:
    """One task per content among the rows nobody else works on."""
    ids = [row["version_id"] for row in rows]
    claimed = ledger.claim(shop.conn, "parse", owner, ids, shop.settings.lease_s)
    by_content: dict[bytes, list[Row]] = {}
    for row in rows:
        if row["version_id"] in claimed:
            by_content.setdefault(bytes(row["content_hash"]), []).append(row)
    return [
        Task(hashed, tuple(group), max(claimed[row["version_id"]] for row in group))
        for hashed, group in by_content.items()
    ]


def _parse_batch(
    shop: Workshop,
    terms: Terms,
    build: Build,
    owner: UUID,
    tasks: Sequence[Task],
    report: StageReport,
) -> int:
    by_key = dict(enumerate(tasks))
    open_keys = set(by_key)

    def keep(outcomes: Sequence[ParseOutcome]) -> None:
        _keep(shop, build, owner, [(by_key[outcome.key], outcome) for outcome in outcomes], report)
        open_keys.difference_update(outcome.key for outcome in outcomes)

    try:
        _keep_while_parsing(_outcomes(shop, terms, by_key), keep)
    finally:
        # whatever ended the batch early was no document's fault
        ids = [row["version_id"] for key in open_keys for row in by_key[key].rows]
        if ids:
            ledger.release(shop.conn, "parse", owner, ids, refund=True)
    return sum(len(task.rows) for task in tasks)


def _keep_while_parsing(
    outcomes: Iterable[ParseOutcome], keep: Callable[[Sequence[ParseOutcome]], None]
) -> None:
    """The database takes one batch while the next is parsed."""
    with ThreadPoolExecutor(1, thread_name_prefix="database") as database:
        keeping: Future[None] | None = None
        for batch in batched_within(outcomes, BATCH, KEEP_S):
            if keeping is not None:
                keeping.result()
            keeping = database.submit(keep, batch)
        if keeping is not None:
            keeping.result()


def _outcomes(shop: Workshop, terms: Terms, tasks: dict[int, Task]) -> Iterator[ParseOutcome]:
    """Fetch what the spool lacks, refuse what was tried too often, parse the rest."""
    jobs: dict[int, ParseJob] = {}
    failed: list[ParseOutcome] = []
    try:
        for key, task in tasks.items():
            try:
                _refuse_repeat_killer(shop, task)
                path = take_content(shop, terms, task.rows[0])
            except RagError as error:
                failed.append(ParseOutcome(key, None, error, 0.0))
                continue
            job = terms.job(key, path, task.rows[0]["uri"])
            jobs[key] = replace(job, on_page=partial(shop.on_page, job.name))
        # the first outcome comes when the connection is no longer needed here: who takes it may
        # use it from another thread
        yield from failed
        for outcome in shop.parser.parse(list(jobs.values())):
            path = jobs.pop(outcome.key).path
            if outcome.document is not None and "attachments" in outcome.document.metadata:
                shop.spool.give_back(path, tasks[outcome.key].content_hash)  # to be unpacked
            else:
                shop.spool.drop(path)
            yield outcome
    finally:
        for job in jobs.values():
            shop.spool.drop(job.path)


def _refuse_repeat_killer(shop: Workshop, task: Task) -> None:
    if task.attempts > shop.settings.max_attempts:
        raise PoisonError(
            f"The worker died {task.attempts - 1} times while parsing this file: it is not tried "
            "again until it changes or `rag retry` asks for it.",
            code="worker_died",
        )


def _keep(
    shop: Workshop,
    build: Build,
    owner: UUID,
    outcomes: Sequence[tuple[Task, ParseOutcome]],
    report: StageReport,
) -> None:
    parsed = [
        ParsedContent(task.content_hash, outcome.document, outcome.seconds)
        for task, outcome in outcomes
        if outcome.document is not None
    ]
    with shop.conn.transaction():
        content.insert_parsed(shop.conn, build, parsed, shop.run_id)
        for task, outcome in outcomes:
            if outcome.error is not None:
                _file_failures(shop, task, outcome.error)
        ended = _version_ids(o for o in outcomes if not isinstance(o[1].error, TransientError))
        again = _version_ids(o for o in outcomes if isinstance(o[1].error, TransientError))
        ledger.complete(shop.conn, "parse", ended)
        ledger.release(shop.conn, "parse", owner, again, refund=False)
    report.add("parsed", len(parsed))
    report.add("partial", sum(item.document.is_partial for item in parsed))
    report.add("pages", sum(item.document.page_count or 0 for item in parsed))
    report.add("words", sum(item.document.word_count for item in parsed))


def _version_ids(outcomes: Iterable[tuple[Task, ParseOutcome]]) -> list[int]:
    return [row["version_id"] for task, _ in outcomes for row in task.rows]


def _file_failures(shop: Workshop, task: Task, error: RagError) -> None:
    for row in task.rows:
        failure = Failure(
            document_id=row["document_id"],
            version_id=row["version_id"],
            uri=row["uri"],
            stage="parse",
            error=error,
            attempts=task.attempts,
            fingerprint=fingerprint("parser", shop.parser.config),
        )
        ledger.file_dead_letter(shop.conn, failure, retry_in(error, task.attempts, shop.settings))


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
