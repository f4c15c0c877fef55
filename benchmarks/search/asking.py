"""What the harness asks a peer's process, and what the process answers: a line of JSON each way.

Imported by every peer in its own environment: standard library and numpy only.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit, urlunsplit

import numpy as np
from numpy.typing import NDArray

DIMENSION = 384
HITS = 10
_BATCH = 2000


class Passage(NamedTuple):
    """A passage; its number is its row in the vectors."""

    number: int
    document: str
    text: str


@dataclass(frozen=True, slots=True)
class Task:
    """Fill the peer's tables from `folder`, or serve questions from them. `variant` is the
    contender's own business."""

    step: str
    url: str
    folder: str
    model: str
    variant: str = ""

    def driver_url(self, driver: str) -> str:
        """The database's URL in SQLAlchemy's form."""
        return urlunsplit(urlsplit(self.url)._replace(scheme=f"postgresql+{driver}"))

    def batches(self) -> Iterator[tuple[list[Passage], NDArray[np.float32]]]:
        """The passages with their vectors, some thousand at a time."""
        rows = json.loads((Path(self.folder) / "passages.json").read_text(encoding="utf-8"))
        vectors = np.load(Path(self.folder) / "vectors.npy", mmap_mode="r")
        for start in range(0, len(rows), _BATCH):
            part = rows[start : start + _BATCH]
            passages = [Passage(start + n, *row) for n, row in enumerate(part)]
            yield passages, np.asarray(vectors[start : start + len(part)])


class Index(Protocol):
    """A peer's search."""

    def hybrid(self, question: str) -> Sequence[object]:
        """The passages found for a question, texts included: encoding is part of it."""

    def nearest(self, vector: list[float]) -> list[int]:
        """The numbers of the ten nearest passages by the vector alone."""


def contender(load: Callable[[Task], None], open_index: Callable[[Task], Index]) -> None:
    """The main function of a peer."""
    task = Task(**json.loads(sys.argv[1]))
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer
    if task.step == "load":
        load(task)
        return
    index = open_index(task)
    print("{}", file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(index, json.loads(line))), file=answers, flush=True)


def answer(index: Index, request: dict[str, Any]) -> Any:
    """Milliseconds of each question, the nearest passages of each vector, or questions a second."""
    match request:
        case {"ask": questions}:
            return [_timed(index, question) for question in questions]
        case {"nearest": vectors}:
            return [index.nearest(vector) for vector in vectors]
        case {"crowd": questions, "callers": callers, "seconds": seconds}:
            return _crowd(index, questions, callers, seconds)
    raise ValueError(f"unknown request: {sorted(request)}")


def _timed(index: Index, question: str) -> float:
    started = time.perf_counter()
    found = index.hybrid(question)
    spent = (time.perf_counter() - started) * 1000
    if len(found) < HITS:
        raise RuntimeError(f"{len(found)} passages found instead of {HITS}: {question}")
    return spent


def _crowd(index: Index, questions: list[str], callers: int, seconds: float) -> float:
    """Questions a second when each caller, a thread, asks again at once."""
    end = time.perf_counter() + seconds

    def go(first: int) -> int:
        count = 0
        for question in itertools.cycle(questions[first::callers]):
            if time.perf_counter() >= end:
                break
            _timed(index, question)
            count += 1
        return count

    with ThreadPoolExecutor(callers) as pool:
        return sum(pool.map(go, range(callers))) / seconds
