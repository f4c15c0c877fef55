"""Connections to Postgres shared by the requests: checked, bounded, with finite time-outs."""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

from rag.settings import Settings
from rag.store import access, lookup
from rag.store.database import Connection, Row, named_errors

_HEALTH_TIMEOUT_S = 2.0


def _check(conn: Connection) -> None:
    """Raises psycopg.OperationalError when the server has closed the connection. An idle one hears
    nothing from a server that is well: only when it did, the server is asked."""
    ear = select.poll()
    ear.register(conn.fileno(), select.POLLIN)
    if ear.poll(0):
        ConnectionPool.check_connection(conn)


class Database:
    """The pool. Nothing is connected before `open`; a server that is away at the time of `open`
    is found when it comes back."""

    def __init__(self, url: str, settings: Settings) -> None:
        statement_ms = int(settings.api_statement_timeout_s * 1000)
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            url,
            connection_class=psycopg.Connection[Row],
            kwargs={
                "autocommit": True,
                "row_factory": dict_row,
                "connect_timeout": 5,
                "application_name": "rag-api",
                "options": f"-c statement_timeout={statement_ms} -c lock_timeout={statement_ms} "
                f"-c idle_in_transaction_session_timeout={2 * statement_ms}",
            },
            min_size=1,
            max_size=settings.api_pool_size,
            max_waiting=2 * settings.api_max_in_flight,
            timeout=settings.api_pool_timeout_s,
            max_lifetime=3600,
            reconnect_timeout=30,
            check=_check,
            open=False,
        )

    def open(self) -> None:
        """Start connecting in the background."""
        self._pool.open()

    def close(self) -> None:
        """Close every connection; requests in progress have ended by now."""
        self._pool.close(timeout=5)

    @contextmanager
    def connection(self, timeout_s: float | None = None) -> Iterator[Connection]:
        """An autocommit connection. Raises UnavailableError (`database_unavailable`) when the
        server is away or all connections are busy for too long."""
        with named_errors(), self._pool.connection(timeout_s) as conn:
            yield conn

    @contextmanager
    def reading(self, namespace: str, *, as_reader: bool) -> Iterator[Connection]:
        """A transaction that reads one namespace at one moment; row-level security holds it to
        that. What is asked goes out with the transaction's beginning."""
        with self.connection() as conn, lookup.reading(conn):
            if as_reader:
                access.become_reader(conn, namespace)
            yield conn

    def usage(self) -> dict[str, int]:
        """Connections in use and idle, and the requests that wait for one."""
        stats = self._pool.get_stats()
        size, idle = stats.get("pool_size", 0), stats.get("pool_available", 0)
        return {"used": size - idle, "idle": idle, "waiting": stats.get("requests_waiting", 0)}

    def is_connected(self) -> bool:
        """Whether the server answers now."""
        try:
            with self._pool.connection(_HEALTH_TIMEOUT_S) as conn:
                conn.execute("select 1")
        except psycopg.Error:
            return False
        return True
