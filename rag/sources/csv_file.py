"""Rows of a CSV file as documents: one row, one short Markdown file.

The address is `csv+file:///absolute/path/all.csv`. The file is UTF-8, delimited by `|`, quoted by
`"`, under a header that names `source` (or `url`), `text` and if need be `title`, in any order;
other columns are left alone. Several such files may stand one after the other in it: a header in
the middle holds for what follows. A row is named by its source, else by its title; rows of one name
are numbered in the order of their contents, so that moving rows changes nothing.
"""

from __future__ import annotations

import csv
import io
import logging
import re
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple
from urllib.parse import quote, unquote

from rag.errors import ConfigurationError, TransientError, UnavailableError
from rag.fingerprint import digest
from rag.model import Listing, SourceObject
from rag.sources.folder import path_of, uri_of
from rag.sources.selection import NO_TIME, ROW_SUFFIX
from rag.sources.transfer import whole_or_nothing, write_blocks

SCHEME = "csv+file"
DELIMITER = "|"
_LOG = logging.getLogger(__name__)
# one quote that is never closed must not take the whole file into memory
_FIELD_CHARACTERS = 64 * 1024 * 1024
# an address must fit an index entry
_NAME_CHARACTERS = 1024
_BOM = b"\xef\xbb\xbf"


class CsvSource:
    """The rows of one file that have a text. Safe to use from several threads."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._path = path_of_csv(uri)
        self._lock = threading.Lock()
        self._index: _Index | None = None

    def list(self) -> Listing:
        """Every row; incomplete when one is malformed, or the file changed while it was read.

        Raises UnavailableError (`csv_unreadable`) when the file can not be read,
        ConfigurationError (`csv_header_missing`) when it does not begin with a header."""
        index = self._read()
        return Listing(tuple(row.obj for row in index.rows.values()), index.is_complete)

    def fetch(self, obj: SourceObject, target: Path) -> None:
        """Write the row as Markdown to `target`.

        Raises TransientError: `object_gone`, `object_changed`; UnavailableError."""
        place = self._current_index().rows.get(obj.uri)
        if place is None:
            raise TransientError(
                f"'{obj.uri}' is gone since it was listed: the next complete listing settles it.",
                code="object_gone",
            )
        document = _read_at(self._path, place)
        if document is None or place.obj.etag != obj.etag:
            raise TransientError(
                f"'{obj.uri}' changed since it was listed: the next look takes the new one.",
                code="object_changed",
            )
        with whole_or_nothing(target):
            write_blocks([document.markdown.encode()], target)

    def _current_index(self) -> _Index:
        with self._lock:
            index = self._index
            if index is None or index.state != _state(self._path):
                index = self._read()
            return index

    def _read(self) -> _Index:
        self._index = index = _read_index(self.uri, self._path)
        return index


def path_of_csv(uri: str) -> Path:
    """The path a `csv+file:///` address names. Raises ConfigurationError (`bad_source`)."""
    if not uri.startswith(f"{SCHEME}:///") or uri.endswith("/"):
        raise ConfigurationError(
            f"'{uri}' is not a CSV file's address: write {SCHEME}:///absolute/path/all.csv.",
            code="bad_source",
        )
    return path_of(uri.removeprefix("csv+"))


def uri_of_csv(path: Path) -> str:
    """The address of an absolute path."""
    return f"csv+{uri_of(path)}"


def write_csv(path: Path, rows: Iterable[tuple[str, str, str]]) -> int:
    """Write (title, address, text) rows in the format that `CsvSource` reads, whole or not at all;
    returns how many. Rows of such a source get the name back that they had there.

    Raises UnavailableError (`csv_not_written`)."""
    count = 0
    part = path.with_name(f".{path.name}.part")
    try:
        with whole_or_nothing(part):
            with part.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, delimiter=DELIMITER, lineterminator="\n")
                writer.writerow(("title", "source", "text"))
                for title, uri, text in rows:
                    writer.writerow((title, _name_in(uri), text))
                    count += 1
            part.replace(path)
    except OSError as error:
        raise UnavailableError(
            f"'{path}' can not be written ({error.strerror}): name another place, or free space.",
            code="csv_not_written",
        ) from error
    return count


def _name_in(uri: str) -> str:
    if not uri.startswith(f"{SCHEME}:"):
        return uri
    return unquote(uri.partition("#")[2].removesuffix(ROW_SUFFIX).partition("#")[0])


class _Columns(NamedTuple):
    """Where a header puts each column."""

    source: int
    text: int
    title: int | None
    width: int


class _Document(NamedTuple):
    """What one row says."""

    source: str
    title: str
    text: str

    @property
    def name(self) -> str:
        """What it is called; rows that name nothing are called alike, and numbered."""
        return self.source or self.title or "row"

    @property
    def markdown(self) -> str:
        """The row as a file."""
        return f"# {self.title}\n\n{self.text}" if self.title else self.text

    @property
    def etag(self) -> str:
        return digest(self).hex()[:32]


class _Span(NamedTuple):
    """Where a row stands in the file."""

    start: int
    end: int
    columns: _Columns


class _Row(NamedTuple):
    """A row as it is listed."""

    obj: SourceObject
    span: _Span


class _Index(NamedTuple):
    """Every row of the file in one state, by address."""

    rows: dict[str, _Row]
    is_complete: bool
    state: tuple[int, int, int]


def _read_index(uri: str, path: Path) -> _Index:
    state = _state(path)
    scan = _Scan(path)
    by_name: dict[str, list[tuple[str, int, _Span]]] = defaultdict(list)
    try:
        with path.open("rb") as file:
            for document, span in scan.rows(file):
                size = len(document.markdown.encode())
                by_name[document.name].append((document.etag, size, span))
    except OSError as error:
        raise _unreadable(path, error) from error
    rows = {}
    for name, found in by_name.items():
        for number, (etag, size, span) in enumerate(sorted(found), start=1):
            address = _address(uri, name, number)
            rows[address] = _Row(SourceObject(address, etag, size, NO_TIME), span)
    return _Index(rows, scan.is_complete and _state(path) == state, state)


def _address(uri: str, name: str, number: int) -> str:
    named = quote(name, safe="")
    if len(named) > _NAME_CHARACTERS:
        named = f"{named[:200]}~{digest([name]).hex()[:16]}"
    numbered = named + (f"#{number}" if number > 1 else "")
    return f"{uri}#{numbered}{ROW_SUFFIX}"


class _Scan:
    """One pass over a file that remembers whether any row was withheld from it."""

    def __init__(self, path: Path) -> None:
        self.is_complete = True
        self._path = path
        self._columns: _Columns | None = None

    def rows(self, file: BinaryIO) -> Iterator[tuple[_Document, _Span]]:
        """Each row with a text, and where it stands. Raises ConfigurationError."""
        lines = _Lines(file)
        start = 0
        try:
            for cells in _reader(lines):
                found = self._row(cells, start, lines)
                start = lines.at
                if found is not None:
                    yield found
        except (csv.Error, UnicodeDecodeError) as error:
            # what follows a broken quote can not be told apart: nothing more is read
            self._note(lines.number, str(error))
        if self._columns is None:
            raise _no_header(self._path)

    def _row(
        self, cells: Sequence[str], start: int, lines: _Lines
    ) -> tuple[_Document, _Span] | None:
        columns = _header(cells)
        self._columns = columns or self._columns
        if columns is not None or not cells:
            return None
        if self._columns is None:
            raise _no_header(self._path)
        if len(cells) != self._columns.width:
            self._note(lines.number, f"{len(cells)} cells instead of {self._columns.width}")
            return None
        document = _document(cells, self._columns)
        return (document, _Span(start, lines.at, self._columns)) if document.text.strip() else None

    def _note(self, line: int, cause: str) -> None:
        _LOG.warning("listing_incomplete path=%r line=%d cause=%s", str(self._path), line, cause)
        self.is_complete = False


class _Lines:
    """A file's lines as text, counted in bytes; the reader takes no line more than a row has."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.at = 0
        self.number = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._file.readline()
        if not line:
            raise StopIteration
        is_first = self.at == 0
        self.at += len(line)
        self.number += 1
        return (line.removeprefix(_BOM) if is_first else line).decode("utf-8")


def _reader(lines: Iterator[str]) -> Iterator[list[str]]:
    csv.field_size_limit(max(csv.field_size_limit(), _FIELD_CHARACTERS))
    return csv.reader(lines, delimiter=DELIMITER, quotechar='"', strict=True)


def _header(cells: Sequence[str]) -> _Columns | None:
    # a byte order mark before a quote leaves the quotes standing
    names = [cell.removeprefix("\ufeff").strip(' "').lower() for cell in cells]
    names = ["source" if name == "url" else name for name in names]
    if len(set(names)) != len(names) or not {"source", "text"} <= set(names):
        return None
    title = names.index("title") if "title" in names else None
    return _Columns(names.index("source"), names.index("text"), title, len(names))


def _document(cells: Sequence[str], columns: _Columns) -> _Document:
    title = "" if columns.title is None else re.sub(r"\s+", " ", cells[columns.title]).strip()
    # a stored name holds no NUL
    return _Document(cells[columns.source].strip().replace("\0", ""), title, cells[columns.text])


def _read_at(path: Path, row: _Row) -> _Document | None:
    """The row, if what stands there is still what was listed."""
    try:
        with path.open("rb") as file:
            file.seek(row.span.start)
            data = file.read(row.span.end - row.span.start)
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        (cells,) = _reader(_Lines(io.BytesIO(data)))
    except (csv.Error, ValueError):
        return None
    if len(cells) != row.span.columns.width:
        return None
    document = _document(cells, row.span.columns)
    return document if document.etag == row.obj.etag else None


def _state(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    return status.st_mtime_ns, status.st_size, status.st_ino


def _no_header(path: Path) -> ConfigurationError:
    return ConfigurationError(
        f"'{path}' does not begin with a header: its first line must read title|source|text.",
        code="csv_header_missing",
    )


def _unreadable(path: Path, error: OSError) -> UnavailableError:
    return UnavailableError(
        f"'{path}' can not be read ({error.strerror}): put the file there and give this user the "
        "right to read it; nothing is deleted from the index meanwhile.",
        code="csv_unreadable",
    )
