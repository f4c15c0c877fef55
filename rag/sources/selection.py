"""Which of a source's objects are taken: globs over the path below the source, sizes, and a bound
in time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Unpack
from urllib.parse import unquote

from rag.model import Listing, SourceObject, SourceOptions
from rag.ports import Source, StatefulSource

# rows are written as Markdown, and parsers go by a name's end
ROW_SUFFIX = ".md"

# who may see the object beside it (rag/ingest/access_lists.py)
ACCESS_LIST = ".acl.json"

# when an object was last modified that has no such time
NO_TIME = datetime.fromtimestamp(0, UTC)

_TOKEN = re.compile(r"\*\*/|\*\*|\*|\?|[^*?]+")
_MEANING = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


@dataclass(frozen=True, slots=True)
class Selection:
    """Takes what matches an include (or any, when there is none) and no exclude, is not too large,
    and was not last modified before the bound.

    A glob without `/` is matched with the last part of the path, one with `/` with the whole path
    below the source; `*` and `?` stop at `/`, `**` does not. Case is ignored: `*.pdf` takes
    `A.PDF`."""

    includes: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    max_bytes: int | None = None
    since: datetime | None = None

    @classmethod
    def of(cls, **options: Unpack[SourceOptions]) -> Selection:
        """What the options of a source say."""
        since = options.get("since")
        return cls(
            tuple(options.get("includes", ())),
            tuple(options.get("excludes", ())),
            options.get("max_bytes"),
            datetime.fromisoformat(since).replace(tzinfo=UTC) if since else None,
        )

    def takes(self, path: str, size_bytes: int, modified_at: datetime) -> bool:
        """Whether the object at `path`, relative to the source, is taken. An access list goes with
        its document, however large or old it is: without it, anybody might see the document."""
        if path.endswith(ACCESS_LIST):
            path = path.removesuffix(ACCESS_LIST)
        elif self._is_too_large(size_bytes) or self._is_too_old(modified_at):
            return False
        if self.includes and not _any_matches(self.includes, path):
            return False
        return not _any_matches(self.excludes, path)

    def _is_too_large(self, size_bytes: int) -> bool:
        return self.max_bytes is not None and size_bytes > self.max_bytes

    def _is_too_old(self, modified_at: datetime) -> bool:
        return self.since is not None and modified_at < self.since and modified_at != NO_TIME


EVERYTHING = Selection()


def days_ago(days: int, now: datetime) -> str:
    """The day that a bound names when it reaches back this many days."""
    return (now.astimezone(UTC) - timedelta(days=days)).date().isoformat()


class SelectedRows:
    """A source whose objects are rows, less the rows that are not chosen. A row's path is its name:
    what follows `#` in its address, decoded."""

    def __init__(self, source: Source, selection: Selection) -> None:
        self.uri = source.uri
        self._source = source
        self._selection = selection

    def list(self) -> Listing:
        """The chosen rows; as complete as the source's own listing."""
        return self._source.list().taking(
            lambda obj: self._selection.takes(
                self._path_below(obj), obj.size_bytes, obj.modified_at
            )
        )

    def fetch(self, obj: SourceObject, target: Path) -> None:
        """As the source itself."""
        self._source.fetch(obj, target)

    def state(self) -> str | None:
        """As the source itself, where it has one."""
        return self._source.state() if isinstance(self._source, StatefulSource) else None

    def _path_below(self, obj: SourceObject) -> str:
        return unquote(obj.uri.removeprefix(f"{self.uri}#").removesuffix(ROW_SUFFIX))


def selected_rows(source: Source, selection: Selection) -> Source:
    """The source, less the rows that are not chosen."""
    return source if selection == EVERYTHING else SelectedRows(source, selection)


def _any_matches(globs: Sequence[str], path: str) -> bool:
    name = path.rpartition("/")[2]
    return any(_compiled(glob).fullmatch(path if "/" in glob else name) for glob in globs)


@lru_cache(maxsize=256)
def _compiled(glob: str) -> re.Pattern[str]:
    parts = (_MEANING.get(token) or re.escape(token) for token in _TOKEN.findall(glob.lstrip("/")))
    return re.compile("".join(parts), re.IGNORECASE | re.DOTALL)
