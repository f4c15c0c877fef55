"""A Postgres table as a source: the suite, the cursor, and what only rows do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Unpack

import psycopg
import pytest

from rag.errors import ConfigurationError, UnavailableError
from rag.model import SourceOptions
from rag.ports import Source
from rag.settings import Settings
from rag.sources.open import normalise_uri, open_source
from rag.sources.selection import Selection, selected_rows
from rag.sources.table import TableSource
from rag_assets_tests.sources.conformance import (
    ODD_NAMES,
    BoundedSourceConformance,
    SourceConformance,
    names_of,
    only,
)

pytestmark = pytest.mark.slow

PLAIN = "postgresql-table:///article?text=body&id=name"
FULL = "postgresql-table:///public.article?text=body&id=name&title=title&updated=updated_at"


class TablePlace:
    """A table on a server."""

    odd_names = (*ODD_NAMES, "", "a//b", "new\nline", "x.md", "x.md.md")
    sample = "Grüße\n\x01|".encode()

    def __init__(self, url: str, conn: psycopg.Connection) -> None:
        self.url = url
        self.conn = conn
        conn.execute(
            "create table article (name text, title text, body text, updated_at timestamptz)"
        )

    def source(self, **options: Unpack[SourceOptions]) -> Source:
        return selected_rows(TableSource(PLAIN, self.url), Selection.of(**options))

    def put(
        self, name: str, data: bytes, *, title: str = "", updated_at: datetime | None = None
    ) -> None:
        values = (title, data.decode(), updated_at, name)
        done = self.conn.execute(
            "update article set title = %s, body = %s, updated_at = %s where name = %s", values
        )
        if not done.rowcount:
            self.conn.execute(
                "insert into article (title, body, updated_at, name) values (%s, %s, %s, %s)",
                values,
            )

    def put_beside(self, data: bytes) -> None:
        self.conn.execute("create table article2 as select * from article")

    def delete(self, name: str) -> None:
        self.conn.execute("delete from article where name = %s", [name])

    @contextmanager
    def failing_halfway(self) -> Iterator[None]:
        """The server ends the connection when the second page is asked for."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("rag.sources.table._PAGE_ROWS", 2)
            patch.setattr(
                "rag.sources.table.TableSource._object", self._ending_the_connection_after(2)
            )
            yield

    def _ending_the_connection_after(self, rows: int) -> object:
        make = TableSource._object
        seen: list[object] = []

        def counted(source: TableSource, row: dict[str, object]) -> object:
            seen.append(row)
            if len(seen) == rows:
                self.conn.execute(
                    "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
                    "where application_name = 'rag source' and datname = current_database()"
                )
            return make(source, row)

        return counted


@pytest.fixture
def place(empty_database: str) -> Iterator[TablePlace]:
    with psycopg.connect(empty_database, autocommit=True) as conn:
        yield TablePlace(empty_database, conn)


class TestTableSource(SourceConformance):
    """The suite; `place` is the fixture above."""

    def test_rows_without_times_are_taken_whatever_the_bound(self, place: TablePlace) -> None:
        place.put("a", b"text")
        place.put("b", b"text", updated_at=datetime(2000, 1, 1, tzinfo=UTC))
        assert names_of(place.source(since="2020-01-01")) == {"a", "b"}
        timed = selected_rows(TableSource(FULL, place.url), Selection.of(since="2020-01-01"))
        assert names_of(timed) == {"a"}


class TimedTablePlace(TablePlace):
    """A table that keeps the times of its rows."""

    def source(self, **options: Unpack[SourceOptions]) -> Source:
        return selected_rows(TableSource(FULL, self.url), Selection.of(**options))

    def put(self, name: str, data: bytes) -> None:  # type: ignore[override]
        super().put(name, data, updated_at=datetime.now(UTC))

    def age(self, name: str) -> None:
        self.conn.execute("update article set updated_at = '2000-01-01' where name = %s", [name])


class TestTableSourceWithTimes(BoundedSourceConformance):
    """The bound, where the address names a column of times."""

    @pytest.fixture
    def place(self, empty_database: str) -> Iterator[TimedTablePlace]:
        with psycopg.connect(empty_database, autocommit=True) as conn:
            yield TimedTablePlace(empty_database, conn)


def test_a_row_is_read_as_markdown_with_its_title(place: TablePlace, tmp_path: Path) -> None:
    place.put("1", "Ünï text".encode(), title=" A\ntitle ")
    source = TableSource(FULL, place.url)
    obj = only(source)
    source.fetch(obj, tmp_path / "got")
    assert (tmp_path / "got").read_text(encoding="utf-8") == "# A title\n\nÜnï text"
    assert obj.size_bytes == (tmp_path / "got").stat().st_size
    assert obj.uri == f"{FULL}#1.md"


def test_a_row_without_text_is_empty(place: TablePlace, tmp_path: Path) -> None:
    place.conn.execute("insert into article (name) values ('1'), (null)")
    source = TableSource(FULL, place.url)
    source.fetch(only(source), tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == b""


def test_a_change_that_keeps_the_time_is_seen(place: TablePlace) -> None:
    moment = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
    source = TableSource(FULL, place.url)
    place.put("1", b"one", updated_at=moment)
    before = only(source)
    place.put("1", b"two", updated_at=moment)
    assert only(source).etag != before.etag


def test_number_keys_are_read_by_several_pages(
    place: TablePlace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("rag.sources.table._PAGE_ROWS", 100)
    place.conn.execute(
        "create table post as select n as id, 'text ' || n as body "
        "from generate_series(1, 2500) as n"
    )
    source = TableSource("postgresql-table:///post?text=body", place.url)
    assert names_of(source) == {str(number) for number in range(1, 2501)}
    (obj,) = (obj for obj in source.list().objects if obj.uri.endswith("#77.md"))
    source.fetch(obj, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == b"text 77"


def test_any_change_of_any_row_is_another_state(place: TablePlace) -> None:
    source = TableSource("postgresql-table:///article?text=body&id=name", place.url)
    states = [source.state()]
    for change in (
        "insert into article (name, body) values ('a', 'text'), ('b', 'text')",
        "update article set body = 'text' where name = 'a'",  # the same text in a new row
        "delete from article where name = 'a'",
        "delete from article",
    ):
        place.conn.execute(change.encode())
        states.append(source.state())
        assert source.state() == states[-1]
    assert len(set(states[:-1])) == 4
    assert states[-1] == states[0]


def test_a_cursor_tells_of_inserts_updates_and_deletions(place: TablePlace) -> None:
    source = TableSource(f"{PLAIN}&cursor=updated_at", place.url)
    moment = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
    states = [source.state()]
    for number in range(3):
        place.put(f"{number}", b"text", updated_at=moment + timedelta(seconds=number))
        states.append(source.state())
    place.put("0", b"other text", updated_at=moment + timedelta(seconds=3))
    states.append(source.state())
    place.delete("1")
    states.append(source.state())

    assert source.state() == states[-1]
    assert len(set(states)) == 6


def test_what_a_cursor_does_not_tell_the_listing_does(place: TablePlace) -> None:
    source = TableSource(f"{PLAIN}&cursor=updated_at", place.url)
    place.put("1", b"text")
    state, obj = source.state(), only(source)
    place.put("1", b"other text")  # whose time nobody kept

    assert source.state() == state
    assert only(source).etag != obj.etag


def test_a_key_that_repeats_is_refused(place: TablePlace) -> None:
    place.conn.execute("insert into article (name) values ('1'), ('1')")
    with pytest.raises(ConfigurationError, match="name") as caught:
        list(place.source().list())
    assert caught.value.code == "table_key_not_unique"


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql-table:///nothing?text=body",
        "postgresql-table:///article?text=nothing&id=name",
        'postgresql-table:///article?text=body&id="; drop table article; --',
        "postgresql-table:///article?text={id}&id={key}",
    ],
)
def test_what_the_table_lacks_is_named_and_harms_nothing(place: TablePlace, uri: str) -> None:
    place.put("1", b"text")
    with pytest.raises(ConfigurationError) as caught:
        TableSource(uri, place.url).list()
    assert caught.value.code == "table_not_found"
    assert "\n" not in caught.value.message
    assert names_of(place.source()) == {"1"}


def test_a_server_that_does_not_listen_is_unavailable() -> None:
    with pytest.raises(UnavailableError) as caught:
        TableSource(PLAIN, "postgresql://user:hidden@127.0.0.1:9/none").list()
    assert caught.value.code == "table_unreachable"
    assert "hidden" not in caught.value.message


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql-table:///article",
        "postgresql-table:///article?text=",
        "postgresql-table:///article?text=body&where=1",
        "postgresql-table:///a.b.c?text=body",
        "postgresql-table:///article?text=%25s",
        "postgresql-table://user:password@host/article?text=body",
    ],
)
def test_a_malformed_address_is_refused(uri: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        normalise_uri(uri)
    assert caught.value.code == "bad_source"


def test_the_database_of_an_address_is_named_in_the_environment(
    place: TablePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.put("1", b"text")
    uri = "postgresql-table://crm/article?text=body&id=name"
    with pytest.raises(ConfigurationError, match="RAG_TABLE_CRM_URL") as caught:
        open_source(uri, Settings())
    assert caught.value.code == "table_database_missing"
    monkeypatch.setenv("RAG_TABLE_CRM_URL", place.url)
    assert names_of(open_source(normalise_uri(uri), Settings())) == {"1"}
    monkeypatch.setenv("RAG_DATABASE_URL", place.url)
    assert names_of(open_source(PLAIN, Settings())) == {"1"}
