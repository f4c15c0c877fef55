"""rag-assets with a collection of several shards, processes for them as Dagster runs partitions:
with a free embedder a shard for each core, with a real model eight shards in four runs at a time,
of which one embeds (`dagster.yaml`)."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import Synchronized
from typing import NamedTuple

from benchmarks.incremental.contenders.ours import bring_up, make_collection, tools
from benchmarks.incremental.job import EMBEDDER, Job, contender

REAL_SHARDS, RUNS = 8, 4
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Turns(NamedTuple):
    """What the processes share: the next shard that nobody has begun, and the one slot."""

    begun: Synchronized[int]
    slot: AbstractContextManager[bool]

    def shards(self, count: int) -> Iterator[int]:
        """Those that this process is to do."""
        while True:
            with self.begun.get_lock():
                shard = self.begun.value
                self.begun.value += 1
            if shard >= count:
                return
            yield shard


def shards_of(job: Job) -> int:
    return REAL_SHARDS if job.is_real else os.cpu_count() or 1


def bring_up_shards(job: Job, turns: Turns) -> None:
    for shard in turns.shards(shards_of(job)):
        bring_up(job, shard, turns.slot if job.is_real else None)


def other_run(jobs: Connection, turns: Turns) -> None:
    """Load at the first message, bring shards up to date at the second; dies with its parent."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    job: Job = jobs.recv()
    if job.is_real:
        tools(job)
    jobs.send("loaded")
    jobs.recv()
    EMBEDDER.seconds = 0.0
    bring_up_shards(job, turns)
    jobs.send(EMBEDDER.seconds)


class Runs:
    """This process, and the others that work beside it."""

    def __init__(self) -> None:
        """Forks, while there is one thread and nothing is open."""
        fork = multiprocessing.get_context("fork")
        self._turns = Turns(fork.Value("i", 0), fork.Lock())
        self._pipes = []
        for _ in range(RUNS - 1):
            ours, theirs = fork.Pipe()
            fork.Process(target=other_run, args=(theirs, self._turns), daemon=True).start()
            theirs.close()
            self._pipes.append(ours)

    def load(self, job: Job) -> None:
        """Everywhere, and with a real model before the clock starts."""
        for pipe in self._others(job):
            pipe.send(job)
        tools(job)
        for pipe in self._others(job):
            pipe.recv()

    def update(self, job: Job) -> None:
        """All shards."""
        if not job.is_real:
            self.load(job)
        for pipe in self._others(job):
            pipe.send("go")
        bring_up_shards(job, self._turns)
        # EOFError when another one failed; they embed one after the other
        EMBEDDER.seconds += sum(pipe.recv() for pipe in self._others(job))

    def _others(self, job: Job) -> list[Connection]:
        return self._pipes[: min(RUNS, shards_of(job)) - 1]


if __name__ == "__main__":
    runs = Runs()
    contender(lambda job: make_collection(job, shards_of(job)), runs.update, runs.load)
