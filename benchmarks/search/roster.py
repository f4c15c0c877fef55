"""Who is asked: the peers, each a process in its own environment, and ours, the HTTP service."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from benchmarks.incremental.peers import environment_python
from benchmarks.search import load
from benchmarks.search.asking import Task
from benchmarks.search.load import Caller, closed_loop
from benchmarks.search.peers_page import OURS
from rag.embed.pretrained import bundled_model_folder

ROOT = Path(__file__).parents[2]
_LOAD_S = 3600


@dataclass(frozen=True, slots=True)
class Peer:
    """One of the others. Those of the same module share its database."""

    name: str
    title: str
    module: str
    environment: str | None  # None: this one
    variant: str = ""

    def task(self, step: str, url: str, folder: Path) -> Task:
        return Task(step, url, str(folder), str(bundled_model_folder()), self.variant)

    def start(self, task: Task, log: Path) -> subprocess.Popen[str]:
        """Its process, at the task; what it says beside its answers goes to the log."""
        python = environment_python(self.environment) if self.environment else sys.executable
        with log.open("ab") as errors:
            return subprocess.Popen(
                [str(python), "-m", f"benchmarks.search.contenders.{self.module}",
                 json.dumps(asdict(task))],
                cwd=ROOT,
                env={**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1",
                     "TOKENIZERS_PARALLELISM": "false"},
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
            )  # fmt: skip

    def load(self, task: Task, log: Path) -> None:
        """Fill its tables. Raises RuntimeError when it fails."""
        process = self.start(task, log)
        process.communicate(timeout=_LOAD_S)
        if process.returncode:
            raise RuntimeError(f"{self.name} could not be filled: see {log}")


OUR_TITLE = "rag-assets, over HTTP"
LANGCHAIN = Peer("langchain", "LangChain", "langchain", "langchain")
LLAMAINDEX = Peer("llamaindex", "LlamaIndex", "llamaindex", "llamaindex")
BY_HAND = Peer("by_hand", "by hand", "by_hand", None)
BY_HAND_ANY = Peer("by_hand_any", "by hand (any word)", "by_hand", None, "any")
ROSTER = {one.name: one for one in (LANGCHAIN, LLAMAINDEX, BY_HAND, BY_HAND_ANY)}


class Asked(Protocol):
    """Whoever answers questions."""

    name: str
    title: str
    pid: int

    def ask(self, questions: Sequence[str]) -> list[float]:
        """Milliseconds of each question, one at a time."""

    def per_second(self, questions: Sequence[str], callers: int, seconds: float) -> float:
        """Questions a second when each caller asks again at once."""


class Service:
    """Ours."""

    name, title = OURS, OUR_TITLE

    def __init__(self, port: int, pid: int, collection: str) -> None:
        self.pid = pid
        self._port, self._collection = port, collection
        self._caller = Caller(port, collection)

    def ask(self, questions: Sequence[str]) -> list[float]:
        return [self._caller.ask(question) for question in questions]

    def per_second(self, questions: Sequence[str], callers: int, seconds: float) -> float:
        return closed_loop(self._port, self._collection, iter(questions), callers, seconds)


class Process:
    """A peer's process that waits for requests."""

    def __init__(self, peer: Peer, process: subprocess.Popen[str], log: Path) -> None:
        self.name, self.title, self.pid = peer.name, peer.title, process.pid
        self._process, self._log = process, log

    def wait(self) -> None:
        """Until it is ready to be asked."""
        self._answer()

    def ask(self, questions: Sequence[str]) -> list[float]:
        found: list[float] = self._say({"ask": list(questions)})
        return found

    def per_second(self, questions: Sequence[str], callers: int, seconds: float) -> float:
        request = {"crowd": list(questions), "callers": callers, "seconds": seconds}
        return float(self._say(request))

    def nearest(self, vectors: NDArray[Any]) -> list[list[int]]:
        """The ten nearest passages of each vector."""
        found: list[list[int]] = self._say({"nearest": vectors.tolist()})
        return found

    def _say(self, request: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended: see {self._log}")
        return json.loads(line)


@contextmanager
def running(peer: Peer, task: Task, log: Path) -> Iterator[Process]:
    """The peer's process, which gets ready."""
    process = peer.start(task, log)
    try:
        yield Process(peer, process, log)
    finally:
        process.kill()
        process.communicate()


@contextmanager
def everyone(
    peers: Sequence[Peer], urls: dict[str, str], url: str, home: Path, collection: str
) -> Iterator[tuple[Service, list[Process]]]:
    """Ours and the peers, all up at once."""
    with ExitStack() as stack:
        service = Service(*stack.enter_context(load.service(url, home)), collection)
        processes = []
        for peer in peers:
            task = peer.task("serve", urls[peer.module], home)
            processes.append(stack.enter_context(running(peer, task, home / f"{peer.name}.log")))
        for process in processes:
            process.wait()
        yield service, processes


def cpu_ms(asked: Asked) -> float:
    """Processor time its process has had."""
    return load.cpu_ms(asked.pid)


def peak_mb(asked: Asked) -> float:
    """The most memory its process has had."""
    status = Path(f"/proc/{asked.pid}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024
