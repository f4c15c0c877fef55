"""Rows of a Postgres table as documents: one row, one short Markdown file.

The address is `postgresql-table://<database>/<schema>.<table>?text=body&id=id&title=title&
updated=updated_at&cursor=updated_at`; only `text` must be named. It holds no password: the
database's URL comes from RAG_TABLE_<DATABASE>_URL, or is the platform's own where no database is
named. SQL stands here and not in rag/store, because its identifiers are the user's.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from rag.errors import ConfigurationError, RagError, TransientError, UnavailableError
from rag.model import Listing, SourceObject
from rag.sources.transfer import whole_or_nothing, write_blocks

SCHEME = "postgresql-table"
_SUFFIX = ".md"
_PAGE_ROWS = 5_000
_OPTIONS = (
    "-c default_transaction_read_only=on -c statement_timeout=300000 -c lock_timeout=10000 "
    "-c idle_in_transaction_session_timeout=120000"
)
_DATABASE = re.compile(r"[a-z][a-z0-9_]{0,40}|")
_Row: TypeAlias = dict[str, Any]

# xmin is another one after every update, also where nobody keeps the time of it
_ROWS = """
select {id}::text as key, xmin::text || '-' || {stamp} as etag, {modified} as modified_at,
    octet_length(convert_to({document}, 'UTF8')) as size_bytes
from {table} where {id} is not null order by {id}
"""
_ROW = """
select xmin::text || '-' || {stamp} as etag, {document} as document from {table}
where {id} = %(key)s
"""
# a column that grows with every insert and update tells nearly as much, from its index; deletions
# leave no trace in it, but the count does
_CURSOR_STATE = """
select count(*) || ':' || coalesce(max({cursor})::text, '') as state
from {table} where {id} is not null
"""
# one number for the whole table: any insert, update or deletion gives another
_STATE = """
select count(*) || ':' || coalesce(sum(hashtextextended(
    concat_ws('-', {id}::text, xmin::text, {stamp}), 0)), 0) as state
from {table} where {id} is not null
"""


@dataclass(frozen=True, slots=True)
class TableAddress:
    """What the address of a table says."""

    database: str
    table: tuple[str, ...]
    text: str
    id: str = "id"
    title: str | None = None
    updated: str | None = None
    cursor: str | None = None

    @classmethod
    def parse(cls, uri: str) -> TableAddress:
        """Read an address. Raises ConfigurationError (`bad_source`)."""
        parts = urlsplit(uri)
        names = dict(parse_qsl(parts.query, keep_blank_values=True))
        table = tuple(unquote(parts.path.strip("/")).split("."))
        is_known = set(names) <= {"text", "id", "title", "updated", "cursor"} and all(
            names.values()
        )
        is_known = is_known and "%" not in "".join(names.values())  # psycopg's own sign
        is_table = (
            "%" not in parts.path
            and all(table)
            and len(table) <= 2
            and _DATABASE.fullmatch(parts.netloc)
        )
        if parts.scheme != SCHEME or not is_known or not is_table or "text" not in names:
            raise ConfigurationError(
                f"'{uri}' is not a table's address: write {SCHEME}://database/schema.table?"
                "text=column, and if need be &id=, &title=, &updated= and &cursor=.",
                code="bad_source",
            )
        return cls(parts.netloc, table, **names)


class TableSource:
    """The rows of one table. Safe to use from several threads."""

    def __init__(self, uri: str, database_url: str) -> None:
        self.uri = uri
        self._address = TableAddress.parse(uri)
        self._database_url = database_url

    def list(self) -> Listing:
        """Every row's key and state in one snapshot; incomplete when the server went away.

        Raises ConfigurationError (`table_not_found`, `table_key_not_unique`, `table_refused`) or
        UnavailableError (`table_unreachable`)."""
        return Listing.scanned(self._scan())

    def _scan(self) -> Generator[SourceObject, None, bool]:
        last = ""
        try:
            with self._connection() as conn, conn.cursor("rows") as cursor:
                cursor.itersize = _PAGE_ROWS
                for row in cursor.execute(self._sql(_ROWS)):
                    obj = self._object(row)
                    if obj.uri == last:
                        raise ConfigurationError(
                            f"Column {self._address.id} of {self.uri} repeats values: name a "
                            "unique one (id=).",
                            code="table_key_not_unique",
                        )
                    yield obj
                    last = obj.uri
        except UnavailableError:
            if not last:
                raise
            return False
        return True

    def state(self) -> str:
        """What the rows amount to now: another after any insert, update or deletion, as far as the
        cursor tells where there is one. One row over the wire, however many the table has. Raises
        as `list`."""
        told = _CURSOR_STATE if self._address.cursor else _STATE
        with self._connection() as conn:
            row = conn.execute(self._sql(told)).fetchone()
        assert row is not None
        return str(row["state"])

    def fetch(self, obj: SourceObject, target: Path) -> None:
        """Write the row as Markdown to `target`.

        Raises TransientError: `object_gone`, `object_changed`, `table_unreachable`."""
        key = unquote(obj.uri.removeprefix(f"{self.uri}#").removesuffix(_SUFFIX))
        with self._connection() as conn:
            rows = conn.execute(self._sql(_ROW), {"key": key}).fetchmany(2)
        if not rows:
            raise TransientError(
                f"'{obj.uri}' is gone since it was listed: the next complete listing settles it.",
                code="object_gone",
            )
        data = str(rows[0]["document"]).encode()
        if len(rows) > 1 or rows[0]["etag"] != obj.etag or len(data) != obj.size_bytes:
            raise TransientError(
                f"'{obj.uri}' changed since it was listed: the next look takes the new one.",
                code="object_changed",
            )
        with whole_or_nothing(target):
            write_blocks([data], target)

    def _object(self, row: _Row) -> SourceObject:
        return SourceObject(
            uri=f"{self.uri}#{quote(row['key'], safe='')}{_SUFFIX}",
            etag=row["etag"],
            size_bytes=row["size_bytes"],
            modified_at=row["modified_at"],
        )

    def _sql(self, template: str) -> sql.Composed:
        address = self._address
        updated = sql.Identifier(address.updated) if address.updated else sql.SQL("null")
        modified = sql.SQL("coalesce({}::timestamptz, 'epoch')").format(updated)
        title: sql.Composable = sql.SQL("''")
        if address.title:
            title = sql.SQL(
                r"coalesce('# ' || nullif(trim(regexp_replace({}::text, '\s+', ' ', 'g')), '') "
                r"|| E'\n\n', '')"
            ).format(sql.Identifier(address.title))
        text = sql.SQL("coalesce({}::text, '')").format(sql.Identifier(address.text))
        return sql.SQL(template).format(
            id=sql.Identifier(address.id),
            table=sql.Identifier(*address.table),
            stamp=sql.SQL("(extract(epoch from {}) * 1000000)::bigint").format(modified),
            modified=modified,
            updated=updated,
            cursor=sql.Identifier(address.cursor) if address.cursor else sql.SQL("null"),
            document=sql.SQL("{} || {}").format(title, text),
        )

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[_Row]]:
        try:
            with psycopg.Connection[_Row].connect(
                self._database_url,
                row_factory=dict_row,
                connect_timeout=10,
                options=_OPTIONS,
                application_name="rag source",
            ) as conn:
                conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                yield conn
        except psycopg.Error as error:
            raise self._named(error) from error

    def _named(self, error: psycopg.Error) -> RagError:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.UndefinedColumn):
            return ConfigurationError(
                f"{self.uri}: {line}: correct the table or column in the address.",
                code="table_not_found",
            )
        if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
            return UnavailableError(
                f"The database of {self.uri} does not answer ({line}): check its URL and server.",
                code="table_unreachable",
            )
        return ConfigurationError(
            f"{self.uri} can not be read ({line}): check its columns and this user's rights.",
            code="table_refused",
        )
