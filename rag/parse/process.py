"""One parser child seen from the worker: started, fed, watched, and ended with all it started."""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import psutil

from rag.errors import ConfigurationError, RagError
from rag.model import ParsedDocument
from rag.parse import outcomes, wire
from rag.parse.attachments import take, take_bytes
from rag.parse.limits import ParseLimits
from rag.parse.page_image import PageImage, read_image
from rag.parse.scratch import Scratch
from rag.ports import Attachment, ParseJob

_TICK_S = 0.05
_START_S = 60.0
_PAGE_EVERY_S = 0.25
_SMALL_BYTES = 256 * 1024
_LOOK_EVERY = 16  # files; one that then lacks memory is given a fresh child anyway
_TOKEN = "RAG_PARSE_CHILD"  # noqa: S105  (a name, not a secret)

Command = Callable[[Path], Sequence[str]]
Answer = TypeVar("Answer")


@dataclass(slots=True)
class ChildProcess:
    """A running child. Not thread-safe: one slot owns it."""

    process: subprocess.Popen[bytes]
    watched: psutil.Process  # the same
    scratch: Scratch
    token: str
    limits: ParseLimits
    served: int = 0
    hello: dict[str, object] = field(default_factory=dict)
    extent: outcomes.Extent = field(default_factory=outcomes.Extent)

    @classmethod
    def start(
        cls, command: Command, limits: ParseLimits, cancelled: Callable[[], bool]
    ) -> ChildProcess:
        """A child that said it is ready. Raises ConfigurationError (`parser_unavailable`)."""
        scratch = Scratch.make()
        temporary = scratch.folder
        token = secrets.token_hex(16)
        with (temporary / "stderr").open("wb") as stderr:
            process = subprocess.Popen(
                list(command(temporary)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=_environment(temporary, token),
                cwd=temporary,
                start_new_session=True,
                close_fds=True,
            )
        child = cls(process, psutil.Process(process.pid), scratch, token, limits)
        try:
            child._wait_until_ready(cancelled)
        except BaseException:
            child.end()
            raise
        return child

    def parse(self, job: ParseJob, cancelled: Callable[[], bool]) -> ParsedDocument:
        """The document of `job`. Raises its RagError; after a broken protocol, a death, a timeout
        or too much memory the child is dead and `is_alive` is False."""
        outcome = self._answer(job, {}, wire.read_outcome, cancelled)
        if isinstance(outcome, ParsedDocument):
            return outcome
        raise outcome

    def parse_with_pictures(
        self, job: ParseJob, min_side: int, cancelled: Callable[[], bool]
    ) -> tuple[ParsedDocument, list[bytes]]:
        """As `parse`, with the pictures whose marks stand in the document's text, as JPEGs."""

        def read(body: bytes) -> tuple[ParsedDocument | RagError, list[int]]:
            return wire.read_outcome(body), wire.read_sizes(body)

        with self._exchange() as folder:
            asked = {"pictures": str(folder), "min_side": str(min_side)}
            outcome, sizes = self._answer(job, asked, read, cancelled)
            if isinstance(outcome, ParsedDocument):
                return outcome, take_bytes(folder, sizes)
            raise outcome

    @contextlib.contextmanager
    def _exchange(self) -> Iterator[Path]:
        """A folder into which the child may write for the length of one request."""
        folder = self.scratch.folder / f"out-{secrets.token_hex(16)}"
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def attachments(
        self, job: ParseJob, target: Path, cancelled: Callable[[], bool]
    ) -> tuple[Attachment, ...]:
        """What is attached to the file of `job`, copied to `target`. Raises as `parse`."""
        with self._exchange() as folder:
            asked = {"attachments": str(folder)}
            heads = self._answer(job, asked, wire.read_heads, cancelled)
            if isinstance(heads, RagError):
                raise heads
            return take(folder, heads, target)

    def page_image(
        self, job: ParseJob, page: int, passage: str, cancelled: Callable[[], bool]
    ) -> PageImage:
        """Page `page` of the PDF of `job` with `passage` marked. Raises as `parse`."""
        asked = {"page": str(page), "passage": passage}
        image = self._answer(job, asked, read_image, cancelled)
        if isinstance(image, RagError):
            raise image
        return image

    def _answer(
        self,
        job: ParseJob,
        asked: Mapping[str, str],
        read: Callable[[bytes], Answer],
        cancelled: Callable[[], bool],
    ) -> Answer:
        nonce = secrets.token_hex(16)
        copy = self.scratch.folder / f"in-{nonce}"
        _copied(job.path, copy)
        request = {
            "nonce": nonce,
            "path": str(copy),
            "name": job.name,
            "passwords": list(job.passwords),
            **asked,
        }
        try:
            self._write(wire.pack_json(wire.REQUEST, request))
            outcome = read(self._await_result(nonce, job, cancelled))
        except BaseException as exc:
            self.end()
            if isinstance(exc, wire.BrokenFrame):
                raise outcomes.crashed(
                    f"it sent no valid result ({exc})", self.extent.where
                ) from exc
            raise
        finally:
            copy.unlink(missing_ok=True)
        self.served += 1
        return outcome

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    @property
    def is_worn(self) -> bool:
        """True when the child served its share or kept too much memory."""
        if self.served >= self.limits.recycle_after:
            return True
        if self.served % _LOOK_EVERY:
            return False
        # what it started has ended with its file; to look for more costs as much as a small file
        with contextlib.suppress(psutil.NoSuchProcess):
            held: int = self.watched.memory_info().rss
            return held > self.limits.recycle_rss_bytes
        return True

    def end(self) -> None:
        """Kill the child, its group and every descendant that still carries its token; reap it and
        remove its folder."""
        _kill_tree(self.process.pid, self.token)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=5)
        self.scratch.remove()

    def _write(self, frame: bytes) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(frame)
            self.process.stdin.flush()
        except OSError as exc:
            raise outcomes.crashed(self._how_it_ended()) from exc

    def _wait_until_ready(self, cancelled: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _START_S
        reader = wire.FrameReader.start(self.limits.output_bytes)
        try:
            while True:
                for kind, body in self._frames(reader, cancelled):
                    if kind == wire.READY:
                        self.hello = outcomes.read_json(body)
                        return
                if time.monotonic() > deadline:
                    raise outcomes.crashed(f"it was not ready after {_START_S:.0f} s")  # noqa: TRY301
        except outcomes.Cancelled:
            raise
        except Exception as exc:
            raise ConfigurationError(
                f"The parser can not be started ({exc}): {self._last_words()}",
                code="parser_unavailable",
            ) from exc

    def _await_result(self, nonce: str, job: ParseJob, cancelled: Callable[[], bool]) -> bytes:
        started = watched = told = time.monotonic()
        self.extent, page = outcomes.Extent(), None
        reader = wire.FrameReader.start(self.limits.output_bytes)
        while True:
            for kind, body in self._frames(reader, cancelled):
                if kind == wire.RESULT:
                    return wire.unseal(nonce, body)
                if kind == wire.PROGRESS:
                    self.extent = self.extent.after(body, self.limits.pages)
            now = time.monotonic()
            if now - watched >= _TICK_S:  # not once for each page: a look costs milliseconds
                self._watch(now - started)
                watched = now
            if now - told >= _PAGE_EVERY_S and self.extent.page != page:
                self._tell(job)
                told, page = now, self.extent.page

    def _watch(self, seconds: float) -> None:
        """Raises when the document took more time or memory than it may."""
        wall = self.limits.wall(self.extent.pages, self.extent.ocr_pages)
        if seconds > wall:
            raise outcomes.timed_out(wall, self.extent.where)
        rss = _tree_rss(self.watched)
        if rss > self.limits.memory_bytes:
            raise outcomes.out_of_memory(rss, self.limits.memory_bytes, self.extent.where)

    def _tell(self, job: ParseJob) -> None:
        if job.on_page is not None and self.extent.page and self.extent.pages:
            job.on_page(self.extent.page, self.extent.pages)

    def _frames(
        self, reader: wire.FrameReader, cancelled: Callable[[], bool]
    ) -> list[tuple[bytes, bytes]]:
        """The frames that came within one tick. Raises when the child ended or was cancelled."""
        if cancelled():
            raise outcomes.Cancelled
        assert self.process.stdout is not None
        poll = select.poll()
        poll.register(self.process.stdout, select.POLLIN)
        if not poll.poll(1000 * _TICK_S):
            return []
        data = os.read(self.process.stdout.fileno(), 1 << 20)
        if not data:
            raise outcomes.crashed(self._how_it_ended(), self.extent.where)
        return reader.feed(data)

    def _how_it_ended(self) -> str:
        try:
            code = self.process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            return "it closed its pipe without a result"
        if code < 0:
            return f"it was killed by {signal.Signals(-code).name}"
        return f"it exited with {code} and no result"

    def _last_words(self) -> str:
        text = (self.scratch.folder / "stderr").read_bytes()[-300:].decode("utf-8", "replace")
        return " ".join(text.split()) or "it said nothing"


def _copied(source: Path, target: Path) -> None:
    """A small file in two calls: what a general copy asks before costs more than the copy."""
    with source.open("rb", buffering=0) as file:
        data = file.read(_SMALL_BYTES)
        if len(data) == _SMALL_BYTES:
            shutil.copyfile(source, target)
            return
    with target.open("xb", buffering=0) as copy:
        copy.write(data)


def _environment(temporary: Path, token: str) -> dict[str, str]:
    """The whole environment of a child: nothing of ours that could be a secret."""
    paths = [str(Path(__file__).parents[2]), sysconfig.get_paths()["purelib"]]
    return {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.defpath]),
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(temporary),
        "TMPDIR": str(temporary),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "CUDA_VISIBLE_DEVICES": "",
        _TOKEN: token,
    }


def _tree_rss(root: psutil.Process) -> int:
    total = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in [root, *root.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                total += process.memory_info().rss
    return total


def _kill_tree(pid: int, token: str) -> None:
    """Group first, then whatever left the group: a process in a session of its own still has the
    token in its environment."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    mark = f"{_TOKEN}={token}".encode()
    for _ in range(3):  # a fork may race with the first look
        found = [other for other in psutil.pids() if other != os.getpid() and _carries(other, mark)]
        for other in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(other, signal.SIGKILL)
        if not found:
            return


def _carries(pid: int, mark: bytes) -> bool:
    try:
        return mark in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
