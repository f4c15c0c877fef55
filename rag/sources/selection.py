"""Which of a source's objects are taken: globs over the path below the source, and sizes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote

from rag.model import Listing, SourceObject
from rag.ports import Source, StatefulSource

# rows are written as Markdown, and parsers go by a name's end
ROW_SUFFIX = ".md"

# who may see the object beside it (rag/ingest/access_lists.py)
ACCESS_LIST = ".acl.json"

_TOKEN = re.compile(r"\*\*/|\*\*|\*|\?|[^*?]+")
_MEANING = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


@dataclass(frozen=True, slots=True)
class Selection:
    """Takes what matches an include (or any, when there is none) and no exclude.

    A glob without `/` is matched with the last part of the path, one with `/` with the whole path
    below the source; `*` and `?` stop at `/`, `**` does not. Case is ignored: `*.pdf` takes
    `A.PDF`."""

    includes: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    max_bytes: int | None = None

    def takes(self, path: str, size_bytes: int) -> bool:
        """Whether the object at `path`, relative to the source, is taken."""
        if self.max_bytes is not None and size_bytes > self.max_bytes:
            return False
        path = path.removesuffix(ACCESS_LIST)  # an access list goes with its document
        if self.includes and not _any_matches(self.includes, path):
            return False
        return not _any_matches(self.excludes, path)


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
            lambda obj: self._selection.takes(self._path_below(obj), obj.size_bytes)
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
    return source if selection == Selection() else SelectedRows(source, selection)


def _any_matches(globs: Sequence[str], path: str) -> bool:
    name = path.rpartition("/")[2]
    return any(_compiled(glob).fullmatch(path if "/" in glob else name) for glob in globs)


@lru_cache(maxsize=256)
def _compiled(glob: str) -> re.Pattern[str]:
    parts = (_MEANING.get(token) or re.escape(token) for token in _TOKEN.findall(glob.lstrip("/")))
    return re.compile("".join(parts), re.IGNORECASE | re.DOTALL)
