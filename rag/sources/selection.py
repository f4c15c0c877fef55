"""Which of a source's objects are taken: globs over the path below the source, and sizes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

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
        if self.includes and not _any_matches(self.includes, path):
            return False
        return not _any_matches(self.excludes, path)


def _any_matches(globs: Sequence[str], path: str) -> bool:
    name = path.rpartition("/")[2]
    return any(_compiled(glob).fullmatch(path if "/" in glob else name) for glob in globs)


@lru_cache(maxsize=256)
def _compiled(glob: str) -> re.Pattern[str]:
    parts = (_MEANING.get(token) or re.escape(token) for token in _TOKEN.findall(glob.lstrip("/")))
    return re.compile("".join(parts), re.IGNORECASE | re.DOTALL)
