"""The whole stack: Postgres, object store, Dagster and the HTTP service, started, watched and
stopped together.

Nothing is restarted silently: a server that dies ends the stack with an error that says which one
and what its log says last. Nothing is left behind either, however we end: each server has a guard,
and Postgres its keeper.
"""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType

from rag.errors import ConflictError, UnavailableError
from rag.settings import Settings
from rag.stack.dagster_servers import DagsterServers, instance_file
from rag.stack.endpoints import Endpoints, publish, running_endpoints, withdraw
from rag.stack.environment import children_environment
from rag.stack.folder import ensure_folder
from rag.stack.http_service import HttpService
from rag.stack.lock import FileLock
from rag.stack.loopback import required_port
from rag.stack.object_store import embedded_object_store, object_server
from rag.stack.postgres import dagster_url, embedded_postgres, ensure_database, postgres_server

_READY_TIMEOUT_S = 180.0
_LOOK_S = 1.0
_READY_LOOK_S = 0.2
DEFINITIONS = "rag_assets.definitions"

Progress = Callable[[str], None]


class Stack:
    """A running stack: its endpoints, and what tells whether each server still runs."""

    def __init__(self, endpoints: Endpoints, checks: Sequence[Callable[[], None]]) -> None:
        self.endpoints = endpoints
        self._checks = checks

    def check(self) -> None:
        """Raises UnavailableError when a server has ended by itself."""
        for check in self._checks:
            check()

    def wait(self) -> None:
        """Return never; raises KeyboardInterrupt on SIGINT or SIGTERM, UnavailableError when a
        server ends."""
        while True:
            self.check()
            time.sleep(_LOOK_S)


@contextmanager
def running_stack(
    settings: Settings,
    on_progress: Progress,
    *,
    definitions: str = DEFINITIONS,
    with_service: bool = False,
    before_dagster: Callable[[Endpoints], None] | None = None,
) -> Iterator[Stack]:
    """The stack for the time of the block; stopped in reverse order, whatever ends the block.

    Servers that the settings name are used and not started. `before_dagster` runs when the
    database is up and Dagster is not: the moment to migrate. `with_service` adds the web page and
    HTTP service. SIGINT and SIGTERM raise
    KeyboardInterrupt in the block; while the stack stops they are ignored. Raises
    ConfigurationError (port in use, folder), ConflictError (runs already), UnavailableError.
    """
    home = ensure_folder(settings.home.resolve(), 0o755)
    with ExitStack() as started:
        started.enter_context(_signals_end_the_block())
        started.enter_context(_only_stack(home))
        port = required_port(settings.dagster_port, "RAG_DAGSTER_PORT")
        service = HttpService.chosen(settings) if with_service else None
        checks: list[Callable[[], None]] = []
        endpoints = _start_storage(settings, home, started, checks, on_progress)
        if before_dagster is not None:
            before_dagster(endpoints)
        environment = children_environment(home, endpoints)
        dagster = DagsterServers(home, definitions, port, environment, time.time())
        endpoints = _start_dagster(dagster, endpoints, started, checks, on_progress)
        if service is not None:
            endpoints = _start_service(service, home, endpoints, started, checks, on_progress)
        started.callback(withdraw, home)
        publish(home, endpoints)
        on_progress(f"ready: {endpoints.dagster_url}")
        try:
            yield Stack(endpoints, checks)
        finally:
            on_progress("stopping")


@contextmanager
def connect_or_start(settings: Settings) -> Iterator[Endpoints]:
    """The endpoints for one command: those set, else the running stack's, else an embedded
    Postgres for the time of the block (and then no object store)."""
    running = running_endpoints(settings.home.resolve())
    if settings.database_url is not None:
        product = settings.database_url.get_secret_value()
        s3 = running.s3 if running and settings.uses_embedded_s3 else None
        yield Endpoints(product, _dagster_storage_url(settings, product), s3)
    elif running is not None:
        yield running
    else:
        with embedded_postgres(settings.home) as url:
            yield Endpoints(url, _dagster_storage_url(settings, url))


def _start_storage(
    settings: Settings,
    home: Path,
    started: ExitStack,
    checks: list[Callable[[], None]],
    tell: Progress,
) -> Endpoints:
    """Postgres and object store."""
    if settings.database_url is None:
        tell("starting PostgreSQL")
        product = started.enter_context(embedded_postgres(home))
        checks.append(postgres_server(home).check)
    else:
        product = settings.database_url.get_secret_value()
        if settings.dagster_database_url is None:
            _ensure_dagster_database(product)
    s3 = None
    if settings.uses_embedded_s3:
        tell("starting the object store")
        s3 = started.enter_context(embedded_object_store(home))
        checks.append(object_server(home).check)
    return Endpoints(product, _dagster_storage_url(settings, product), s3, pid=os.getpid())


def _start_dagster(
    dagster: DagsterServers,
    endpoints: Endpoints,
    started: ExitStack,
    checks: list[Callable[[], None]],
    tell: Progress,
) -> Endpoints:
    """Code server, webserver and daemon. The code server's stop ends the runs it launched."""
    tell("starting Dagster")
    shutil.copyfile(instance_file(), ensure_folder(dagster.home / "dagster") / "dagster.yaml")
    code_server = dagster.code_server()
    started.callback(code_server.stop)
    checks.append(code_server.check)
    dagster.prepare()
    for start in (dagster.webserver, dagster.daemon):
        server = start()
        started.callback(server.stop)
        started.callback(server.ask_to_stop)
        checks.append(server.check)
    tell("loading the definitions")
    _wait_ready(dagster, checks)
    return replace(endpoints, dagster_url=dagster.url)


def _start_service(
    service: HttpService,
    home: Path,
    endpoints: Endpoints,
    started: ExitStack,
    checks: list[Callable[[], None]],
    tell: Progress,
) -> Endpoints:
    """The web page and HTTP service; its model may still be warming up."""
    tell("starting the web page and HTTP service")
    server = service.start(home, children_environment(home, endpoints))
    started.callback(server.stop)
    checks.append(server.check)
    service.wait_ready(server)
    return replace(endpoints, api_url=service.url)


def _wait_ready(dagster: DagsterServers, checks: Sequence[Callable[[], None]]) -> None:
    deadline = time.monotonic() + _READY_TIMEOUT_S
    while not dagster.is_ready():
        for check in checks:
            check()
        if time.monotonic() > deadline:
            raise UnavailableError(
                f"Dagster is not ready after {_READY_TIMEOUT_S:.0f} s (logs: "
                f"{dagster.home / 'logs'}).",
                code="stack_not_ready",
            )
        time.sleep(_READY_LOOK_S)


def _dagster_storage_url(settings: Settings, product_url: str) -> str:
    if settings.dagster_database_url is not None:
        return dagster_url(settings.dagster_database_url.get_secret_value(), "")
    return dagster_url(product_url)


def _ensure_dagster_database(product_url: str) -> None:
    import psycopg

    try:
        ensure_database(product_url, "dagster")
    except psycopg.errors.InsufficientPrivilege as error:
        raise UnavailableError(
            "Database `dagster` is missing and RAG_DATABASE_URL's user may not create it: create "
            "it, or set RAG_DAGSTER_DATABASE_URL.",
            code="dagster_database_missing",
        ) from error
    except psycopg.OperationalError as error:
        raise UnavailableError(
            "The PostgreSQL server of RAG_DATABASE_URL does not answer or refuses us: check host, "
            "port, user and password.",
            code="database_unreachable",
        ) from error


@contextmanager
def _only_stack(home: Path) -> Iterator[None]:
    """One stack per folder; the lock also tells other processes that this one lives."""
    lock = FileLock(home / "stack.lock")
    try:
        if not lock.try_exclusive():
            running = running_endpoints(home)
            where = running.dagster_url if running else "still starting or stopping"
            raise ConflictError(
                f"A stack runs under {home} already ({where}): use it, stop it, or set RAG_HOME "
                "to another folder.",
                code="stack_runs_already",
            )
        yield
    finally:
        lock.release()


@contextmanager
def _signals_end_the_block() -> Iterator[None]:
    """SIGINT and SIGTERM raise KeyboardInterrupt once; further ones do not disturb the stop."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        for one in before:
            signal.signal(one, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    for one in before:
        signal.signal(one, interrupt)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
