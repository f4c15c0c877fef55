"""The one Postgres server of a run: a database per contender, and the CPU it has used."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psutil
import psycopg
from psycopg import sql

from rag.stack.postgres import embedded_postgres


@dataclass(frozen=True, slots=True)
class Server:
    """A running server; `url` names its first database."""

    url: str
    process: psutil.Process

    def new_database(self, name: str) -> str:
        """An empty database of that name; an older one is dropped."""
        identifier = sql.Identifier(name)
        with psycopg.connect(self.url, autocommit=True) as conn:
            conn.execute(sql.SQL("drop database if exists {} with (force)").format(identifier))
            conn.execute(sql.SQL("create database {}").format(identifier))
            conn.execute("checkpoint")
        return self.database(name)

    def database(self, name: str) -> str:
        """The URL of a database of that name, whether it is there or not."""
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    def settle(self) -> None:
        """Write out what is dirty, so that no scenario pays for the one before."""
        with psycopg.connect(self.url, autocommit=True) as conn:
            conn.execute("checkpoint")

    def cpu_seconds(self) -> float:
        """CPU of all the server's processes, those that ended included: read when no client is
        left, for a process that is just ending is in neither sum."""
        with psycopg.connect(self.url, autocommit=True) as conn:
            for _ in range(200):
                row = conn.execute(
                    "select count(*) from pg_stat_activity where backend_type = 'client backend'"
                ).fetchone()
                if row == (1,):
                    break
                time.sleep(0.02)
        return self.cpu_so_far()

    def cpu_so_far(self) -> float:
        """The same while clients are there, for those whose processes stay."""
        while True:
            children = self.process.children()
            total = self._sum(children)
            # a process reaped between the two looks would be in neither sum
            if total is not None and children == self.process.children():
                return total
            time.sleep(0.02)

    def _sum(self, children: list[psutil.Process]) -> float | None:
        """CPU of the server process, of those it has reaped and of `children`; None when one of
        these is gone."""
        times = self.process.cpu_times()
        total = times.user + times.system + times.children_user + times.children_system
        for child in children:
            try:
                own = child.cpu_times()
            except psutil.NoSuchProcess:
                return None
            total += own.user + own.system
        return float(total)


@contextmanager
def running_server(folder: Path) -> Iterator[Server]:
    """The embedded server, with fsync on."""
    with embedded_postgres(folder) as url:
        with psycopg.connect(url) as conn:
            row = conn.execute("select pg_backend_pid()").fetchone()
            assert row is not None
            postmaster = psutil.Process(row[0]).parent()
        assert postmaster is not None
        yield Server(url, postmaster)
