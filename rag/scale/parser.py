"""A `Parser` whose files are read on a Ray cluster, each by the same confined child as here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from rag.errors import RagError, UnavailableError
from rag.fingerprint import fingerprint
from rag.parse.configuration import ParserParts
from rag.ports import Attachment, FileLimits, ParseJob, ParseOutcome
from rag.scale import cluster as clusters
from rag.scale.cluster import Cluster
from rag.scale.worker import parse_file

_AHEAD = 2  # files per slot that are on their way: no worker waits for bytes
_STALL_S = 300.0  # beyond the longest wall time of a file
_GET_S = 60.0
_CANCEL_TRIES, _CANCEL_S = 10, 0.5  # Ray loses a cancellation that meets a task as it starts
_PASSWORD_CODES = frozenset({"password_required", "password_wrong"})


class RayParser:
    """Parses on the cluster; what needs a password, and mail attachments, here: no secret leaves
    this process. A file whose worker dies is parsed again by another, `retries` times."""

    def __init__(
        self, cluster: Cluster, parts: ParserParts, workers: int = 0, retries: int = 3
    ) -> None:
        self._cluster = cluster
        self._local = parts.open(workers)
        self._parts = parts if parts.captions is None else replace(
            parts, captions=replace(parts.captions, api_key="none")
        )  # fmt: skip
        self._retries = retries
        self.config = self._local.config

    def prepare(self, documents: int, limits: FileLimits | None = None) -> None:
        """The cluster's workers start with what they are sent."""

    def parse(self, jobs: Iterable[ParseJob]) -> Iterator[ParseOutcome]:
        """One outcome per job as each ends. Raises UnavailableError (`ray_worker_lost`,
        `ray_stalled`, `ray_unavailable`) and ConfigurationError (`ray_missing`,
        `ray_worker_differs`, `parser_unavailable`): no file is blamed for the cluster."""
        ray = self._cluster.join()
        send = ray.remote(num_cpus=1, max_retries=self._retries)(parse_file)
        most = _AHEAD * clusters.slots(ray)
        running: dict[Any, ParseJob] = {}
        here: list[ParseJob] = []
        try:
            for job in jobs:
                data = self._bytes(job, here)
                if isinstance(data, ParseOutcome):
                    yield data
                elif data is not None:
                    running[self._sent(send, job, data)] = job
                while len(running) >= most:
                    yield from self._ended(ray, running, here)
            while running:
                yield from self._ended(ray, running, here)
        finally:
            _cancel(ray, list(running))
        yield from self._local.parse(here)

    def attachments(self, job: ParseJob, folder: Path) -> tuple[Attachment, ...]:
        """As the local parser: to list what is attached is little work."""
        return self._local.attachments(job, folder)

    def close(self) -> None:
        """End the children of this machine; the cluster goes on."""
        self._local.close()

    def _bytes(self, job: ParseJob, here: list[ParseJob]) -> bytes | ParseOutcome | None:
        """What to send. A file that is too large to be parsed is refused here, not carried."""
        limits = self._parts.limits.for_file(job.limits)
        try:
            if job.path.stat().st_size <= limits.file_bytes:
                return job.path.read_bytes()
        except OSError as exc:
            error = UnavailableError(f"The file can not be read ({exc}).", code="file_unreadable")
            return ParseOutcome(job.key, None, error, 0.0)
        here.append(job)
        return None

    def _sent(self, send: Any, job: ParseJob, data: bytes) -> Any:
        expected = fingerprint("parser", self.config)
        return send.remote(self._parts, expected, job.name, data, job.limits)

    def _ended(
        self, ray: Any, running: dict[Any, ParseJob], here: list[ParseJob]
    ) -> Iterator[ParseOutcome]:
        wait_s = self._parts.limits.wall_cap_s + _STALL_S
        done, _ = ray.wait(list(running), num_returns=1, timeout=wait_s)
        if not done:
            raise clusters.stalled(wait_s)
        job = running.pop(done[0])
        outcome = _result(ray, done[0])
        if job.passwords and outcome.error and outcome.error.code in _PASSWORD_CODES:
            here.append(job)
        else:
            yield replace(outcome, key=job.key)


def _cancel(ray: Any, refs: list[Any]) -> None:
    """Asks again for what does not end: a lost request would let a file be parsed to its end."""
    for _ in range(_CANCEL_TRIES):
        if not refs:
            return
        for ref in refs:
            ray.cancel(ref)
        _, refs = ray.wait(refs, num_returns=len(refs), timeout=_CANCEL_S)


def _result(ray: Any, ref: Any) -> ParseOutcome:
    try:
        outcome = ray.get(ref, timeout=_GET_S)
    except ray.exceptions.RayError as exc:
        raise clusters.lost(exc) from exc
    if isinstance(outcome, RagError):
        raise outcome
    assert isinstance(outcome, ParseOutcome)
    return outcome
