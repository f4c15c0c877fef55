"""The process that runs the assets: Dagster lives there, not here."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rag.errors import RagError, TerminalError

if TYPE_CHECKING:
    from pathlib import Path

    from rag.model import CollectionName
    from rag.settings import Settings
    from rag.stack.endpoints import Endpoints

_STOP_S = 60.0


def ingest_events(
    settings: Settings, endpoints: Endpoints, name: CollectionName
) -> Iterator[dict[str, Any]]:
    """The events of `python -m rag_assets.ingest`, as they come.

    Raises the error the run ended with, or TerminalError (`ingest_died`) when its process ended
    without a word. When the iteration is left early the child is interrupted and waited for."""
    home = settings.home.resolve()
    log = _prepare(home)
    if settings.database_url is not None and settings.dagster_database_url is None:
        _ensure_dagster_database(endpoints.database_url)
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "rag_assets.ingest", str(name)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=_environment(home, endpoints),
        )
    try:
        yield from _events(process, log)
    finally:
        _stop(process)


def _events(process: subprocess.Popen[bytes], log: Path) -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    for line in process.stdout:
        event: dict[str, Any] = json.loads(line)
        if event["event"] != "end":
            yield event
        elif event["error"] is None:
            return
        elif event["error"]["code"] == "interrupted":
            raise KeyboardInterrupt
        elif event["error"]["code"] == "unexpected":
            break
        else:
            raise RagError(event["error"]["message"], code=event["error"]["code"])
    raise TerminalError(
        f"The process that runs the assets ended in the middle; {log} ends with why.",
        code="ingest_died",
    )


def _prepare(home: Path) -> Path:
    """Dagster's folder with its instance file; returns the child's log."""
    import shutil

    from rag.stack.dagster_servers import instance_file
    from rag.stack.folder import ensure_folder

    folder = ensure_folder(home / "dagster")
    shutil.copyfile(instance_file(), folder / "dagster.yaml")
    return ensure_folder(home / "logs", 0o755) / "ingest.log"


def _ensure_dagster_database(product_url: str) -> None:
    """Dagster's database on a configured server. Raises UnavailableError
    (`dagster_database_missing`)."""
    import psycopg

    from rag.errors import UnavailableError
    from rag.stack.postgres import DAGSTER_DATABASE, ensure_database

    try:
        ensure_database(product_url, DAGSTER_DATABASE)
    except psycopg.Error as error:
        raise UnavailableError(
            f"Database `{DAGSTER_DATABASE}` is missing on the server and can not be made "
            f"({str(error).strip().splitlines()[0]}): create it, or set RAG_DAGSTER_DATABASE_URL.",
            code="dagster_database_missing",
        ) from error


def _environment(home: Path, endpoints: Endpoints) -> dict[str, str]:
    from rag.stack.environment import children_environment
    from rag.stack.shared_server import module_environment

    return {**module_environment(), **children_environment(home, endpoints)}


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Close its standard input, which interrupts it if it still runs, and wait."""
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
    try:
        process.wait(timeout=_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=_STOP_S)
