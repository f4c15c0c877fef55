"""The named SQL statements of rag/store/sql: one file per table group, loaded once.

A statement starts with a line `-- name: words` and must go on with a comment that says what it
does; Python code asks for it by `statements("file")["name"]` and passes named parameters.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import LiteralString, cast

_HEAD = re.compile(r"^-- name: (\w+)\n(?=-- )", re.MULTILINE)


@cache
def statements(group: str) -> dict[str, LiteralString]:
    """The statements of `sql/<group>.sql` by name, as trusted literals."""
    text = (files("rag.store") / "sql" / f"{group}.sql").read_text(encoding="utf-8")
    parts = _HEAD.split(text)[1:]
    return dict(zip(parts[::2], cast("list[LiteralString]", parts[1::2]), strict=True))
