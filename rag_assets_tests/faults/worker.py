"""Real ingest processes: `python -m rag_assets_tests.faults.worker DATABASE SPOOL [OPTION...]`.

Reads a line `go` on standard input for each worker to start, and forks it: everything is imported
by then, so that a worker is at work at once and a test may kill many. A worker runs the pipeline
over the collection acme/docs again and again until it is killed, and says on standard
output:

    PID started | PID begin | PID end DOCUMENTS | PID error CODE

Options: `steps` publishes without a transaction, `once` ends a worker after one run, `lease=S` and
`file_limit=BYTES` set what they say.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from rag.errors import RagError
from rag.ingest.pipeline import bring_up_to_date
from rag.ingest.spool import Spool
from rag.ingest.workshop import Workshop
from rag.model import CollectionName, Shard
from rag.ports import ParseJob, ParseOutcome
from rag.settings import Settings
from rag.sources.folder import FolderSource
from rag.store.database import Connection, connect
from rag_assets_tests.fakes import FakeParser, FakeTokenizer
from rag_assets_tests.fakes_embed import FakeEmbedder
from rag_assets_tests.faults import mutants

NAME = CollectionName("acme", "docs")


class MortalParser(FakeParser):
    """Reads text, and dies of a file that starts with KILLER."""

    def parse(self, jobs: Iterable[ParseJob]) -> Iterator[ParseOutcome]:
        for job in jobs:
            if job.path.read_bytes().startswith(b"KILLER"):
                os.kill(os.getpid(), signal.SIGKILL)
            yield from super().parse([job])


def workshop(
    conn: Connection, database_url: str, spool: Path, run_id: str = "", lease_s: float = 30.0
) -> Workshop:
    """The tools of a run over folders, with free engines."""
    return Workshop(
        conn=conn,
        database_url=database_url,
        settings=Settings(chunk_size=32, chunk_overlap=4, lease_s=lease_s),
        spool=Spool(spool),
        open_source=FolderSource,
        parser=MortalParser(),
        tokenizer=FakeTokenizer(),
        embedder=FakeEmbedder(),
        run_id=run_id or f"worker-{os.getpid()}",
    )


def bring_up(database_url: str, spool: Path, lease_s: float = 30.0) -> dict[str, dict[str, int]]:
    """One run; returns each stage's counts."""
    with connect(database_url) as conn:
        shop = workshop(conn, database_url, spool, lease_s=lease_s)
        return {r.stage: r.counts for r in bring_up_to_date(shop, Shard(NAME))}


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, (os.getpid(), *words))) + "\n").encode())


def work(database_url: str, spool: Path, options: dict[str, str]) -> None:
    """Run after run, whatever goes wrong."""
    if "steps" in options:
        mutants.without_transaction()
    if "file_limit" in options:
        import resource

        limit = int(options["file_limit"])
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    say("started")
    while True:
        say("begin")
        try:
            counts = bring_up(database_url, spool, float(options.get("lease", 30.0)))
            say("end", counts["search_index"]["documents"])
        except RagError as error:
            say("error", error.code)
            time.sleep(0.1)
        if "once" in options:
            return


def main(arguments: list[str]) -> None:
    """Fork a worker for each `go`."""
    database_url, spool, *rest = arguments
    options = dict((*part.split("=", 1), "")[:2] for part in rest)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    say("ready")
    for _ in sys.stdin:
        if os.fork() == 0:
            try:
                work(database_url, Path(spool), options)
            finally:
                os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
