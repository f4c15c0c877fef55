"""A local folder, or a single file, as a source.

A file's address is readable: only `%`, `?`, `#`, control characters and bytes that are not UTF-8
are percent-encoded, so that any URL reader decodes it.
"""

from __future__ import annotations

import logging
import os
import re
import stat
import time
from collections.abc import Generator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote, unquote_to_bytes

from rag.errors import ConfigurationError, TransientError, UnavailableError
from rag.model import Listing, SourceObject
from rag.sources.selection import EVERYTHING, Selection
from rag.sources.transfer import BLOCK_BYTES, whole_or_nothing, write_blocks

_LOG = logging.getLogger(__name__)
_ENCODED = re.compile(r"[%?#\x00-\x1f\x7f\udc80-\udcff]")
# two writes within one tick of the kernel's clock leave the same time on a file
_TICK_NS = 20_000_000


class FolderSource:
    """The regular files below a folder; names that start with a dot are left out, and links are
    followed to files below the same folder only. Safe to use from several threads."""

    def __init__(
        self,
        uri: str,
        selection: Selection = EVERYTHING,
        *,
        max_objects: int | None = None,
    ) -> None:
        self.uri = uri
        self._root = path_of(uri)
        self._selection = selection
        self._max_objects = max_objects

    def list(self) -> Listing:
        """The files there now; incomplete when any folder or file below could not be read.

        Raises UnavailableError (`folder_not_found`, `folder_unreadable`) for the folder itself."""
        return Listing.scanned(self._scan())

    def _scan(self) -> Generator[SourceObject, None, bool]:
        scan = _Scan(self._root)
        found = 0
        for path, status in scan.files():
            obj = _object(path, status)
            below = self._path_below(path)
            if not self._selection.takes(below, obj.size_bytes, obj.modified_at):
                continue
            if found == self._max_objects:
                return False
            found += 1
            yield obj
        return scan.is_complete

    def fetch(self, obj: SourceObject, target: Path) -> None:
        """Copy the listed file to `target`, if it stays the same meanwhile.

        Raises TransientError: `object_gone`, `object_changed`, `object_unreadable`."""
        real = self._inside(str(path_of(obj.uri)), obj)
        with whole_or_nothing(target), _opened(real, obj) as file:
            _check_unchanged(os.fstat(file.fileno()), obj)
            written = write_blocks(_blocks(file, obj), target)
            _check_unchanged(os.fstat(file.fileno()), obj)
            if written.size_bytes != obj.size_bytes:
                raise _changed(obj)

    def _path_below(self, path: str) -> str:
        root = str(self._root)
        return self._root.name if path == root else path.removeprefix(root).lstrip("/")

    def _inside(self, path: str, obj: SourceObject) -> str:
        """Where the file really is, which must be below the root even if links changed."""
        try:
            real = os.path.realpath(path, strict=True)
            # where no part of the path is a link, no part of the root is
            is_plain = real == path and path.startswith(f"{self._root}".rstrip("/") + "/")
            root = str(self._root) if is_plain else os.path.realpath(self._root, strict=True)
        except OSError as error:
            raise _not_readable(obj, error) from error
        if real != root and not real.startswith(root.rstrip("/") + "/"):
            raise _changed(obj)
        return real


class _Scan:
    """One walk over a folder that remembers whether anything was withheld from it."""

    def __init__(self, root: Path) -> None:
        self.is_complete = True
        self._root = root

    def files(self) -> Iterator[tuple[str, os.stat_result]]:
        """Every file with its status, folder by folder in the order of names."""
        try:
            status = self._root.stat()
            if stat.S_ISREG(status.st_mode):
                yield str(self._root), status
                return
            real_root = self._root.resolve(strict=True)
            entries = _entries(str(self._root))
        except OSError as error:
            raise _no_folder(self._root, error) from error
        yield from self._walk(entries, real_root)

    def _walk(
        self, entries: list[os.DirEntry[str]], real_root: Path
    ) -> Iterator[tuple[str, os.stat_result]]:
        pending = [iter(entries)]
        while pending:
            entry = next(pending[-1], None)
            if entry is None:
                pending.pop()
            elif entry.name.startswith("."):
                continue
            elif entry.is_dir(follow_symlinks=False):
                pending.append(iter(self._entries_below(entry)))
            elif (status := self._status(entry, real_root)) is not None:
                yield entry.path, status

    def _entries_below(self, folder: os.DirEntry[str]) -> list[os.DirEntry[str]]:
        """Also a folder that vanished makes the walk incomplete: its files may just have moved."""
        try:
            return _entries(folder.path)
        except OSError as error:
            self._note(folder.path, error)
            return []

    def _status(self, entry: os.DirEntry[str], real_root: Path) -> os.stat_result | None:
        """The status of a regular file, or None where there is none to take."""
        try:
            if entry.is_symlink() and not _leads_inside(entry, real_root):
                return None
            status = entry.stat()
        except FileNotFoundError:
            return None  # deleted while we looked, or a link to nothing
        except OSError as error:
            self._note(entry.path, error)
            return None
        return status if stat.S_ISREG(status.st_mode) else None

    def _note(self, path: str, error: OSError) -> None:
        _LOG.warning("listing_incomplete path=%r cause=%s", path, error.strerror)
        self.is_complete = False


def path_of(uri: str) -> Path:
    """The path a `file:///` address names. Raises ConfigurationError (`bad_source`)."""
    path = os.fsdecode(unquote_to_bytes(uri.removeprefix("file://")))
    if not uri.startswith("file://") or not path.startswith("/") or "\0" in path:
        raise ConfigurationError(
            f"'{uri}' is not a folder's address: write file:///absolute/path/.", code="bad_source"
        )
    return Path(path)


def uri_of(path: Path | str) -> str:
    """The address of an absolute path; a folder's needs a slash added."""
    return "file://" + _ENCODED.sub(lambda found: quote(os.fsencode(found[0])), str(path))


def _object(path: str, status: os.stat_result) -> SourceObject:
    return SourceObject(
        uri=uri_of(path),
        etag=_etag(status),
        size_bytes=status.st_size,
        modified_at=datetime.fromtimestamp(status.st_mtime, UTC),
    )


def _etag(status: os.stat_result) -> str:
    return f"{status.st_mtime_ns:x}-{status.st_size:x}-{status.st_ino:x}"


def _entries(folder: str) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _leads_inside(entry: os.DirEntry[str], real_root: Path) -> bool:
    try:
        return Path(entry.path).resolve(strict=True).is_relative_to(real_root)
    except RuntimeError:
        return False  # a link to itself


def _open_strictly(path: str, flags: int) -> int:
    """Never follow a link, nor wait for a pipe, that took the file's place."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _opened(path: str, obj: SourceObject) -> BinaryIO:
    try:
        return open(path, "rb", opener=_open_strictly)
    except OSError as error:
        raise _not_readable(obj, error) from error


def _blocks(file: BinaryIO, obj: SourceObject) -> Iterator[bytes]:
    """The file's blocks, read once its time can tell a later write from the one we see."""
    age_ns = time.time_ns() - os.fstat(file.fileno()).st_mtime_ns
    if 0 <= age_ns < _TICK_NS:
        time.sleep((_TICK_NS - age_ns) / 1e9)
    try:
        # no more than there is: to get room for a whole block costs more than to read a small file
        while block := file.read(min(BLOCK_BYTES, obj.size_bytes + 1)):
            yield block
    except OSError as error:
        raise _not_readable(obj, error) from error


def _check_unchanged(status: os.stat_result, obj: SourceObject) -> None:
    if not stat.S_ISREG(status.st_mode) or _etag(status) != obj.etag:
        raise _changed(obj)


def _changed(obj: SourceObject) -> TransientError:
    return TransientError(
        f"'{obj.uri}' changed since it was listed: the next look takes the new one.",
        code="object_changed",
    )


def _not_readable(obj: SourceObject, error: OSError) -> TransientError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return TransientError(
            f"'{obj.uri}' is gone since it was listed: the next complete listing settles it.",
            code="object_gone",
        )
    return TransientError(
        f"'{obj.uri}' can not be read ({error.strerror}): give this user the right to read it.",
        code="object_unreadable",
    )


def _no_folder(root: Path, error: OSError) -> UnavailableError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return UnavailableError(
            f"Folder '{root}' does not exist: mount or create it, or remove the source; nothing "
            "is deleted from the index meanwhile.",
            code="folder_not_found",
        )
    return UnavailableError(
        f"Folder '{root}' can not be read ({error.strerror}): give this user the right to read it.",
        code="folder_unreadable",
    )
