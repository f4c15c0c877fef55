"""The whole platform, with its real definitions, when a part of it is killed in a run."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from rag.model import CollectionName
from rag.sources.folder import uri_of
from rag.stack.endpoints import running_endpoints
from rag.store import collections
from rag.store.database import connect
from rag_assets_tests.stack.processes import eventually, python, using
from rag_assets_tests.stack.test_supervisor import statuses
from rag_assets_tests.world import assert_world_is_sound, served

pytestmark = pytest.mark.slow

NAME = CollectionName("acme", "docs")
DOCUMENTS = 40
START_S = 120.0
_UP = """
import sys
from pathlib import Path
from rag.errors import RagError
from rag.settings import Settings
from rag.stack.supervisor import running_stack
from rag.store.migration import migrate
settings = Settings(home=Path(sys.argv[1]), dagster_port=0, sensor_interval_s=1)
try:
    def prepare(endpoints):
        migrate(endpoints.database_url)
    with running_stack(settings, lambda line: None, before_dagster=prepare) as stack:
        print(stack.endpoints.dagster_url, flush=True)
        stack.wait()
except KeyboardInterrupt:
    print("interrupted", flush=True)
except RagError as error:
    print(error.code, flush=True)
"""


@contextmanager
def stack(home: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The platform in another process, ready; nothing of it is left afterwards."""
    process = python(_UP, str(home))
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), url
        yield process, url
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert eventually(lambda: not using(home), 60.0), using(home)


def database(home: Path) -> str:
    found = running_endpoints(home)
    assert found is not None
    return found.database_url


def collect(home: Path) -> None:
    """A collection over a folder of Markdown files."""
    folder = home / "papers"
    folder.mkdir()
    for number in range(DOCUMENTS):
        text = f"# Paper {number}\n\n" + "\n\n".join(
            f"Section {part} of paper {number} is about the wind on ridge {number * part}."
            for part in range(30)
        )
        (folder / f"{number}.md").write_text(text, encoding="utf-8")
    with connect(database(home)) as conn:
        collection = collections.create_collection(conn, NAME)
        collections.add_source(conn, collection, f"{uri_of(folder)}/")


def count(home: Path, what: str) -> int:
    with connect(database(home)) as conn:
        (row,) = conn.execute(f"select count(*) as n from {what}".encode()).fetchall()
        return int(row["n"])


def run_worker(home: Path) -> psutil.Process | None:
    """The process that works on a run now: the one whose parsers are at work."""
    for process in psutil.process_iter(["cmdline"]):
        with contextlib.suppress(psutil.NoSuchProcess):  # it ended while we looked
            parent = process.parent()
            is_parser = "rag.parse.child" in (process.info["cmdline"] or [])
            if is_parser and parent and parent.environ().get("RAG_HOME") == str(home):
                return parent
    return None


def daemon(home: Path) -> psutil.Process:
    """The stack's Dagster daemon."""
    (found,) = [
        process
        for process in psutil.process_iter(["cmdline"])
        if (process.info["cmdline"] or [])[1:3] == ["-m", "sensors.daemon"]
        and str(home) in " ".join(process.info["cmdline"])
    ]
    return found


def wait_until_served(home: Path) -> None:
    def is_served() -> bool:
        with connect(database(home)) as conn:
            return len(served(conn, str(NAME))) == DOCUMENTS

    assert eventually(is_served, 100.0)
    with connect(database(home)) as conn:
        assert_world_is_sound(conn)


def test_a_killed_run_worker_is_noticed_and_its_documents_come(temporary_home: Path) -> None:
    with stack(temporary_home) as (_process, url):
        collect(temporary_home)
        assert eventually(lambda: run_worker(temporary_home) is not None, START_S)
        worker = run_worker(temporary_home)
        assert worker is not None
        worker.send_signal(signal.SIGKILL)
        assert count(temporary_home, "publication") < DOCUMENTS
        assert eventually(lambda: "FAILURE" in statuses(url), 60.0)
        wait_until_served(temporary_home)
        assert eventually(lambda: "SUCCESS" in statuses(url), 60.0)


def test_a_killed_daemon_ends_the_stack_and_the_next_one_goes_on(temporary_home: Path) -> None:
    with stack(temporary_home) as (process, _url):
        collect(temporary_home)
        assert eventually(lambda: count(temporary_home, "lease") > 0, START_S)
        daemon(temporary_home).send_signal(signal.SIGKILL)
        published = count(temporary_home, "publication")
        assert process.wait(60) is not None
        assert published < DOCUMENTS
    with stack(temporary_home):
        wait_until_served(temporary_home)
