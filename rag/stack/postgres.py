"""The embedded PostgreSQL, for any number of processes at once.

The first process that needs it starts it, the last that ends (in whatever way) stops it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from rag.errors import ConfigurationError
from rag.stack.cluster import SUPERUSER
from rag.stack.folder import ensure_folder
from rag.stack.loopback import HOST
from rag.stack.shared_server import SharedServer
from rag.stack.shared_server import module_environment as module_environment

_CONNECT_TIMEOUT_S = 10
PRODUCT_DATABASE = "rag"
DAGSTER_DATABASE = "dagster"


def postgres_server(home: Path, *, durable: bool = True) -> SharedServer:
    """The server under `home`, whether it runs or not."""
    root = ensure_folder(home.resolve(), 0o755)
    log = root / "logs" / "postgres.log"
    mode = "durable" if durable else "fast"
    return SharedServer(
        "embedded PostgreSQL",
        "rag.stack.postgres_keeper",
        root / "postgres",
        log,
        (str(log), mode),
    )


def ensure_postgres(home: Path, *, durable: bool = True) -> str:
    """URL of database `rag` on a running server under `home`, which runs while this process does.

    Cheap when it runs already; starts it again when it was killed. Raises ConfigurationError or
    UnavailableError.
    """
    server = postgres_server(home, durable=durable)
    return _url(server.folder, server.hold(lambda port: _make_databases(server.folder, port)))


@contextmanager
def embedded_postgres(home: Path, *, durable: bool = True) -> Iterator[str]:
    """URL of database `rag` on a server under `home`; afterwards it is down, unless others use it.

    `durable=False` turns fsync off: for tests, whose data nobody needs after a crash.
    """
    server = postgres_server(home, durable=durable)
    claim = server.claim(lambda port: _make_databases(server.folder, port))
    try:
        yield _url(server.folder, claim.port)
    finally:
        claim.release()
        server.wait_until_stopped()


def dagster_url(url: str, database: str = DAGSTER_DATABASE) -> str:
    """The URL of Dagster's database on the same server, in the form Dagster's driver needs."""
    parts = urlsplit(url)
    if parts.scheme.partition("+")[0] not in ("postgresql", "postgres"):
        raise ConfigurationError(
            "RAG_DATABASE_URL must start with postgresql://.", code="bad_database_url"
        )
    path = f"/{database}" if database else parts.path
    return urlunsplit(("postgresql+psycopg2", parts.netloc, path, parts.query, ""))


def ensure_database(url: str, name: str) -> None:
    """Create the database when it is absent; several processes may try at once."""
    import psycopg
    from psycopg import sql

    with psycopg.connect(url, autocommit=True, connect_timeout=_CONNECT_TIMEOUT_S) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
        if found.fetchone() is not None:
            return
        try:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            return


def _make_databases(folder: Path, port: int) -> None:
    administration = _url(folder, port, "postgres")
    for name in (PRODUCT_DATABASE, DAGSTER_DATABASE):
        ensure_database(administration, name)
    _spare_the_disk(administration, DAGSTER_DATABASE)


def _spare_the_disk(url: str, name: str) -> None:
    """Nobody waits for the disk to keep Dagster's events, a hundred for each run: what a crash of
    the server takes is the last second of its history. Truth lies in the product's database."""
    import psycopg
    from psycopg import sql

    with psycopg.connect(url, autocommit=True, connect_timeout=_CONNECT_TIMEOUT_S) as connection:
        statement = sql.SQL("ALTER DATABASE {} SET synchronous_commit = off")
        connection.execute(statement.format(sql.Identifier(name)))


def _url(folder: Path, port: int, database: str = PRODUCT_DATABASE) -> str:
    password = (folder / "password").read_text(encoding="utf-8").strip()
    return f"postgresql://{SUPERUSER}:{password}@{HOST}:{port}/{database}"
