from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import psutil
import psycopg
import pytest

from rag.errors import ConfigurationError, UnavailableError
from rag.stack.postgres import (
    dagster_url,
    embedded_postgres,
    ensure_database,
    ensure_postgres,
)
from rag_assets_tests.stack.processes import eventually, pid_of, python, using

_HOLD = """
import sys
from pathlib import Path
from rag.stack.postgres import ensure_postgres
print(ensure_postgres(Path(sys.argv[1]), durable=False), flush=True)
sys.stdin.read()
"""


def server_pid(home: Path) -> int:
    return int((home / "postgres/data/postmaster.pid").read_text().split()[0])


def hold(home: Path) -> tuple[subprocess.Popen[str], str]:
    """Another process that uses the server until its input closes."""
    process = python(_HOLD, str(home))
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def end(process: subprocess.Popen[str]) -> None:
    process.communicate(timeout=20)


def one(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize(
    "given",
    [
        "postgresql://u:p%40@h:1/rag?sslmode=require",
        "postgres://u:p%40@h:1/rag?sslmode=require",
        "postgresql+psycopg2://u:p%40@h:1/rag?sslmode=require",
    ],
)
def test_dagster_gets_its_own_database_and_its_own_driver(given: str) -> None:
    assert dagster_url(given) == "postgresql+psycopg2://u:p%40@h:1/dagster?sslmode=require"
    assert dagster_url(given, "") == "postgresql+psycopg2://u:p%40@h:1/rag?sslmode=require"


def test_a_url_of_another_database_is_refused_without_showing_it() -> None:
    with pytest.raises(ConfigurationError) as caught:
        dagster_url("mysql://u:secret@h/db")
    assert "secret" not in caught.value.message


def test_a_home_that_is_a_file_names_the_setting(temporary_home: Path) -> None:
    home = temporary_home / "file"
    home.write_text("")
    with pytest.raises(ConfigurationError, match="RAG_HOME"):
        ensure_postgres(home)


@pytest.mark.slow
def test_the_server_has_both_databases_and_vectors_and_listens_on_loopback_only(
    postgres_server: str,
) -> None:
    assert one(postgres_server, "SELECT current_database()") == "rag"
    databases = one(postgres_server, "SELECT array_agg(datname::text) FROM pg_database")
    assert isinstance(databases, list)
    assert {"rag", "dagster"} <= set(databases)
    assert one(
        postgres_server,
        "SELECT count(*) FROM pg_available_extensions "
        "WHERE name = 'vector' AND string_to_array(default_version, '.')::int[] >= '{0,8,0}'",
    )
    assert one(
        postgres_server, "SELECT setting FROM pg_settings WHERE name = 'listen_addresses'"
    ) == ("127.0.0.1")


@pytest.mark.slow
def test_a_wrong_password_is_refused(postgres_server: str) -> None:
    user, _, rest = postgres_server.rpartition("@")
    wrong = f"{user.rpartition(':')[0]}:wrong@{rest}"
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(wrong, connect_timeout=5)


@pytest.mark.slow
def test_a_database_that_exists_is_left_as_it_is(postgres_server: str, empty_database: str) -> None:
    with psycopg.connect(empty_database) as connection:
        connection.execute("CREATE TABLE kept ()")
    ensure_database(postgres_server, empty_database.rpartition("/")[2])
    assert one(empty_database, "SELECT to_regclass('kept')::text") == "kept"


@pytest.mark.slow
def test_a_second_start_finds_the_data_at_the_same_address(temporary_home: Path) -> None:
    with (
        embedded_postgres(temporary_home, durable=False) as first,
        psycopg.connect(first) as connection,
    ):
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    assert not using(temporary_home)
    with embedded_postgres(temporary_home, durable=False) as second:
        assert second == first
        assert one(second, "SELECT answer FROM kept") == 42


@pytest.mark.slow
def test_processes_that_start_at_once_share_one_server(temporary_home: Path) -> None:
    held = [python(_HOLD, str(temporary_home)) for _ in range(4)]
    urls = {process.stdout.readline().strip() for process in held if process.stdout}
    assert len(urls) == 1
    assert one(urls.pop(), "SELECT 1") == 1
    for process in held:
        end(process)
    assert eventually(lambda: not using(temporary_home))


@pytest.mark.slow
def test_the_server_outlives_its_starter_while_another_process_uses_it(
    temporary_home: Path,
) -> None:
    starter, url = hold(temporary_home)
    with embedded_postgres(temporary_home, durable=False) as same:
        assert same == url
        before = server_pid(temporary_home)
        end(starter)
        assert not eventually(lambda: one(url, "SELECT 1") != 1, 1.0)
        assert server_pid(temporary_home) == before
    assert not using(temporary_home)


@pytest.mark.slow
def test_a_killed_user_leaves_no_server_behind(temporary_home: Path) -> None:
    user, _ = hold(temporary_home)
    user.kill()
    end(user)
    assert eventually(lambda: not using(temporary_home))


@pytest.mark.slow
def test_a_killed_keeper_leaves_no_server_behind_and_the_next_start_recovers(
    temporary_home: Path,
) -> None:
    user, url = hold(temporary_home)
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept ()")
    os.kill(pid_of(temporary_home, "rag.stack.postgres_keeper"), signal.SIGKILL)
    assert eventually(lambda: not using(temporary_home / "postgres"))
    with embedded_postgres(temporary_home, durable=False) as again:
        assert one(again, "SELECT to_regclass('kept')::text") == "kept"
    end(user)
    assert eventually(lambda: not using(temporary_home))


@pytest.mark.slow
def test_a_killed_server_is_started_again_for_the_next_who_asks(temporary_home: Path) -> None:
    with embedded_postgres(temporary_home, durable=False) as url:
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept ()")
        server = psutil.Process(server_pid(temporary_home))
        server.kill()
        assert eventually(lambda: not server.is_running() or server.status() == "zombie")
        with embedded_postgres(temporary_home, durable=False) as again:
            assert one(again, "SELECT to_regclass('kept')::text") == "kept"
    assert not using(temporary_home)


@pytest.mark.slow
def test_a_lock_file_whose_process_id_was_reused_does_not_stop_the_start(
    temporary_home: Path,
) -> None:
    with embedded_postgres(temporary_home, durable=False):
        left_over = (temporary_home / "postgres/data/postmaster.pid").read_text()
    stranger = psutil.Process().pid
    lines = left_over.splitlines()
    (temporary_home / "postgres/data/postmaster.pid").write_text(
        "\n".join([str(stranger), *lines[1:]]) + "\n"
    )
    with embedded_postgres(temporary_home, durable=False) as url:
        assert one(url, "SELECT 1") == 1


@pytest.mark.slow
def test_an_interrupted_first_start_is_begun_anew(temporary_home: Path) -> None:
    cut_short = temporary_home / "postgres" / "data.partial"
    cut_short.mkdir(parents=True)
    (cut_short / "PG_VERSION").write_text("18")
    with embedded_postgres(temporary_home, durable=False) as url:
        assert one(url, "SELECT 1") == 1


@pytest.mark.slow
def test_a_server_that_can_not_start_says_why_in_one_line(temporary_home: Path) -> None:
    data = temporary_home / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("9")
    with pytest.raises(UnavailableError, match=r"log: .*postgres\.log") as caught:
        ensure_postgres(temporary_home)
    assert "\n" not in caught.value.message
    assert eventually(lambda: not using(temporary_home))
