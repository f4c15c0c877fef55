"""rag-assets with a collection of two shards: a process each, as Dagster runs two partitions."""

from __future__ import annotations

import ctypes
import multiprocessing
import signal
from multiprocessing.connection import Connection

from benchmarks.incremental.contenders.ours import bring_up, make_collection, tools
from benchmarks.incremental.job import Job, contender

SHARDS = 2
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def other_shard(jobs: Connection) -> None:
    """Bring the second shard up to date for each job that comes; dies with its parent."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    job = jobs.recv()
    bring_up(job, 1)
    jobs.send("done")


def prepare(job: Job) -> None:
    make_collection(job, SHARDS)


def main() -> None:
    """Fork before the clock starts, while there is one thread and nothing is open."""
    ours, theirs = multiprocessing.Pipe()
    twin = multiprocessing.get_context("fork").Process(target=other_shard, args=(theirs,))
    twin.start()
    theirs.close()

    def update(job: Job) -> None:
        ours.send(job)
        bring_up(job, 0)
        ours.recv()  # EOFError when the other one failed

    contender(prepare, update, tools)
    ours.close()
    twin.kill()


if __name__ == "__main__":
    main()
