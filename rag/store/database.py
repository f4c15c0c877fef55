"""Connections to Postgres: opened here, with finite time-outs, and driver errors named once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import psycopg
from pgvector import HalfVector
from pgvector.psycopg.halfvec import HalfVectorBinaryDumper
from psycopg.rows import dict_row

from rag.errors import ConfigurationError, RagError, UnavailableError

Row: TypeAlias = dict[str, Any]
Connection: TypeAlias = psycopg.Connection[Row]

# before the first connection, which takes what is known by then; without the type's number, which
# differs between databases: the statements name the type
psycopg.adapters.register_dumper(HalfVector, HalfVectorBinaryDumper)

# our own ANALYZE during a load looks at 3,000 rows of a table instead of 30,000: plans turn on how
# many rows there are, and autovacuum looks closer later
_OPTIONS = (
    "-c statement_timeout=300000 -c lock_timeout=60000 "
    "-c idle_in_transaction_session_timeout=120000 -c default_statistics_target=10"
)


@contextmanager
def connect(database_url: str) -> Iterator[Connection]:
    """An autocommit connection: a use case opens its transactions with `conn.transaction()`.

    Driver errors leave as RagError: UnavailableError when the server is gone or refuses us for
    now, ConfigurationError when the address or the credentials are wrong."""
    try:
        conn = psycopg.Connection[Row].connect(
            database_url,
            autocommit=True,
            row_factory=dict_row,
            connect_timeout=10,
            options=_OPTIONS,
            application_name="rag",
        )
    except psycopg.OperationalError as error:
        raise _connection_error(error) from error
    with conn, named_errors():
        yield conn


@contextmanager
def named_errors() -> Iterator[None]:
    """Turn psycopg's errors into ours, the cause kept."""
    try:
        yield
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        raise ConfigurationError(
            "The database lacks this version's schema: run `rag migrate`.", code="not_migrated"
        ) from error
    except psycopg.errors.ReadOnlySqlTransaction as error:
        raise UnavailableError(
            "Postgres is read only: searches go on, and ingest goes on when it may write again.",
            code="database_read_only",
        ) from error
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise UnavailableError(
            f"Postgres failed ({_first_line(error)}): nothing is lost, run it again when the "
            "server is well.",
            code="database_unavailable",
        ) from error


def _connection_error(error: psycopg.OperationalError) -> RagError:
    line = _first_line(error)
    if any(word in line for word in ("password", "role", "does not exist", "authentication")):
        return ConfigurationError(
            f"Postgres refused the connection ({line}): check user, password and database in "
            "RAG_DATABASE_URL.",
            code="database_refused",
        )
    return UnavailableError(
        f"Postgres does not answer ({line}): check RAG_DATABASE_URL and that the server runs.",
        code="database_unreachable",
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__
