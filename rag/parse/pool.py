"""The parser the product uses: a pool of confined child processes, one document each at a time.

Nothing of a document is read in this process. Importing this module does not import docling.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from types import TracebackType

from rag.errors import PoisonError, RagError, UnavailableError
from rag.model import ParsedDocument
from rag.parse import outcomes
from rag.parse.captions import captioned
from rag.parse.child_config import ChildConfig
from rag.parse.cleaning import CleaningConfig
from rag.parse.legacy import NEEDS_OFFICE
from rag.parse.limits import ParseLimits
from rag.parse.ocr import OcrConfig
from rag.parse.process import ChildProcess, Command
from rag.ports import Attachment, Captioner, FileLimits, ParseJob, ParseOutcome

PARSER_VERSION = 3  # raise it whenever the same bytes would give another text or other blocks

# who waits without end does not hear that Ray cancels it
_WAKE_S = 0.5
_RETRIED = frozenset({"parser_crashed", "parse_memory"})


@dataclass(slots=True)
class _Batch:
    """One call of `parse`: where its outcomes go, with what is to be told meanwhile, and whether
    anybody still waits for them."""

    done: queue.Queue[ParseOutcome | BaseException | Callable[[], None]] = field(
        default_factory=queue.Queue
    )
    abandoned: threading.Event = field(default_factory=threading.Event)

    def next(self) -> ParseOutcome:
        """The next outcome; pages are told until it comes. Raises what a slot ended with."""
        while True:
            try:
                found = self.done.get(timeout=_WAKE_S)
            except queue.Empty:
                continue
            if isinstance(found, ParseOutcome):
                return found
            if isinstance(found, BaseException):
                raise found
            found()

    def telling(self, job: ParseJob) -> ParseJob:
        """`job`, whose pages are told by whoever waits for outcomes."""
        on_page = job.on_page
        if on_page is None:
            return job
        return replace(job, on_page=lambda *at: self.done.put(partial(on_page, *at)))


class DoclingParser:
    """A `Parser` on docling: bad files end as errors, within `limits`, beside their neighbours.

    `artifacts_path` names a folder with docling's layout and table models; without it PDFs go
    through docling's native text with our own assembly. `ocr` says whether pages without text are
    read from their pixels. `captioner` describes pictures. Children start at the first job and stay
    warm until `close`; `command` replaces the child's command line (tests)."""

    def __init__(
        self,
        limits: ParseLimits | None = None,
        workers: int | None = None,
        *,
        cleaning: CleaningConfig | None = None,
        artifacts_path: Path | None = None,
        ocr: OcrConfig | None = None,
        captioner: Captioner | None = None,
        command: Command | None = None,
    ) -> None:
        self.limits = limits or ParseLimits()
        self.cleaning = cleaning or CleaningConfig()
        self.workers = workers or max(1, os.cpu_count() or 1)
        self.artifacts_path = artifacts_path
        self.ocr = ocr or OcrConfig()
        self.captioner = captioner
        self.config = parser_config(
            self.limits,
            self.cleaning,
            artifacts_path,
            self.ocr,
            captioner.config if captioner else None,
        )
        self.hello: dict[str, object] = {}
        self._command = command
        self._work: queue.Queue[tuple[ParseJob, _Batch] | None] = queue.Queue()
        self._closed = threading.Event()
        self._threads: list[threading.Thread] = []
        self._in_hand = 0  # jobs that wait for a slot or are in one
        self._lock = threading.Lock()
        self._side = _Holder(None)  # the child that lists attachments
        self._side_lock = threading.Lock()

    def prepare(self, documents: int, limits: FileLimits | None = None) -> None:
        """Start the children that so many documents will keep busy, in threads of their own."""
        for _ in range(documents):
            if not self._add_slot(self.limits.for_file(limits)):
                break

    def parse(self, jobs: Iterable[ParseJob]) -> Iterator[ParseOutcome]:
        """One outcome per job as each ends. Takes jobs only as slots become free. Raises
        ConfigurationError (`parser_unavailable`) when no child can be started."""
        if self._closed.is_set():
            raise UnavailableError("The parser is closed: make a new one.", code="parser_closed")
        batch = _Batch()
        running = 0
        try:
            for job in jobs:
                self._submit(batch.telling(job), batch)
                running += 1
                if running > self.workers:
                    yield batch.next()
                    running -= 1
            for _ in range(running):
                yield batch.next()
        finally:
            batch.abandoned.set()

    def attachments(self, job: ParseJob, folder: Path) -> tuple[Attachment, ...]:
        """The files attached to the mail or PDF of `job`, written to the existing `folder` as
        `0`, `1`, ...; empty for other types. Raises the RagError a parse of it would end with."""
        if self._closed.is_set():
            raise UnavailableError("The parser is closed: make a new one.", code="parser_closed")
        with self._side_lock:
            child = self._child_for(job, self._side, self._closed.is_set)
            return child.attachments(job, folder, self._closed.is_set)

    def close(self) -> None:
        """End all children and wait for it. Running documents are given up."""
        with self._lock:
            self._closed.set()
            threads, self._threads = self._threads, []
        atexit.unregister(self.close)
        for _ in threads:
            self._work.put(None)
        for thread in threads:
            thread.join(timeout=30)
        with self._side_lock:
            if self._side.child is not None:
                self._side.child.end()
                self._side.child = None

    def __enter__(self) -> DoclingParser:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _submit(self, job: ParseJob, batch: _Batch) -> None:
        with self._lock:
            self._in_hand += 1
            is_short = self._in_hand > len(self._threads)
        if is_short:  # a slot that waits may have a child that is ready
            self._add_slot()
        self._work.put((job, batch))

    def _add_slot(self, limits: ParseLimits | None = None) -> bool:
        """One more slot where there may be one, with a child at once when its limits are given."""
        with self._lock:
            if len(self._threads) >= self.workers or self._closed.is_set():
                return False
            if not self._threads:
                atexit.register(self.close)
            thread = threading.Thread(
                target=self._slot, args=(limits,), name="rag-parse", daemon=True
            )
            self._threads.append(thread)
            thread.start()
            return True

    def _slot(self, limits: ParseLimits | None) -> None:
        """One slot: takes jobs and runs them in its child, for the life of the parser."""
        holder = _Holder(None)
        if limits is not None:
            # what is wrong with it is met again, and told, by the first job
            with contextlib.suppress(RagError, OSError, outcomes.Cancelled):
                command = self._command_for(limits, ahead=True)
                holder.fresh(command, limits, self._closed.is_set)
        child = holder.child
        try:
            while (item := self._work.get()) is not None and not self._closed.is_set():
                child = self._run(item[0], item[1], child)
                with self._lock:
                    self._in_hand -= 1
        finally:
            if child is not None:
                child.end()

    def _run(self, job: ParseJob, batch: _Batch, child: ChildProcess | None) -> ChildProcess | None:
        def cancelled() -> bool:
            return batch.abandoned.is_set() or self._closed.is_set()

        if cancelled():
            return child
        started = time.monotonic()
        outcome: ParseOutcome | BaseException
        holder = _Holder(child)
        try:
            outcome = self._outcome(job, holder, cancelled, started)
        except outcomes.Cancelled as exc:
            outcome = UnavailableError("The parser was closed.", code="parser_closed")
            outcome.__cause__ = exc
        except BaseException as exc:  # handed to the caller of `parse`, who raises it
            outcome = exc
        batch.done.put(outcome)
        return holder.child

    def _outcome(
        self, job: ParseJob, holder: _Holder, cancelled: Callable[[], bool], started: float
    ) -> ParseOutcome:
        """Condemns a document only on the word of a fresh child: one that served others before
        may have died of what they left behind."""
        while True:
            child = self._child_for(job, holder, cancelled)
            self.hello = child.hello
            had_served = child.served > 0
            try:
                document = self._document(child, job, cancelled)
            except PoisonError as exc:
                if exc.code in _RETRIED and had_served:
                    continue
                return ParseOutcome(job.key, None, exc, time.monotonic() - started)
            except RagError as exc:
                if exc.code == NEEDS_OFFICE:
                    return self._in_office_child(job, cancelled, started)
                return ParseOutcome(job.key, None, exc, time.monotonic() - started)
            except OSError as exc:
                error = UnavailableError(
                    f"The file can not be read ({exc}).", code="file_unreadable"
                )
                return ParseOutcome(job.key, None, error, time.monotonic() - started)
            return ParseOutcome(job.key, document, None, time.monotonic() - started)

    def _document(
        self, child: ChildProcess, job: ParseJob, cancelled: Callable[[], bool]
    ) -> ParsedDocument:
        if self.captioner is None:
            return child.parse(job, cancelled)
        document, jpegs = child.parse_with_pictures(job, self.captioner.min_side, cancelled)
        return captioned(document, jpegs, self.captioner)

    def _in_office_child(
        self, job: ParseJob, cancelled: Callable[[], bool], started: float
    ) -> ParseOutcome:
        """LibreOffice wants more of the file system than a parser should have: it gets a child of
        its own that reads one document and ends."""
        limits = self.limits.for_file(job.limits)
        child = ChildProcess.start(
            lambda temporary: self._child_command(temporary, limits, office=True), limits, cancelled
        )
        document: ParsedDocument | None = None
        error: RagError | None = None
        try:
            document = self._document(child, job, cancelled)
        except RagError as exc:
            error = exc
        finally:
            child.end()
        return ParseOutcome(job.key, document, error, time.monotonic() - started)

    def _child_for(
        self, job: ParseJob, holder: _Holder, cancelled: Callable[[], bool]
    ) -> ChildProcess:
        limits = self.limits.for_file(job.limits)
        return holder.fresh(self._command_for(limits), limits, cancelled)

    def _command_for(self, limits: ParseLimits, **kind: bool) -> Command:
        return self._command or (lambda temporary: self._child_command(temporary, limits, **kind))

    def _child_command(self, temporary: Path, limits: ParseLimits, **kind: bool) -> list[str]:
        """`kind`: what sort of ChildConfig it is."""
        artifacts = str(self.artifacts_path.resolve()) if self.artifacts_path else None
        config = ChildConfig(limits, self.cleaning, temporary, artifacts, self.ocr, **kind)
        return [sys.executable, "-P", "-m", "rag.parse.child", config.as_argument()]


@dataclass(slots=True)
class _Holder:
    """The child of one slot, replaced when it is dead or worn, or was confined to other limits."""

    child: ChildProcess | None

    def fresh(
        self, command: Command, limits: ParseLimits, cancelled: Callable[[], bool]
    ) -> ChildProcess:
        if self.child is not None and not (
            self.child.is_alive and self.child.limits == limits and not self.child.is_worn
        ):
            self.child.end()
            self.child = None
        if self.child is None:
            self.child = ChildProcess.start(command, limits, cancelled)
        return self.child


def parser_config(
    limits: ParseLimits,
    cleaning: CleaningConfig,
    artifacts_path: Path | None,
    ocr: OcrConfig | None = None,
    captions: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """What names the results: a change of any value here may change a parsed text."""
    return {
        "parser": "docling",
        "assembly": PARSER_VERSION,
        "packages": {name: _version(name) for name in ("docling-slim", "docling-parse")},
        "pdf": "layout" if artifacts_path else "native",
        "ocr": (ocr or OcrConfig()).fingerprint(),
        "cleaning": dict(cleaning.as_json()),
        "text_chars": limits.text_chars,
        **({"captions": dict(captions)} if captions else {}),
    }


def _version(package: str) -> str:
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version(package)
    return "missing"
