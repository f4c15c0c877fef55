"""Where commands write: people get lines and tables, programs get JSON, never a mixture.

With --json standard output carries JSON only. Everything that is said while working goes to
standard error.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

# a table that goes to a file has no window to fit into
_WIDTH_WITHOUT_TERMINAL = 160

AsJson = Annotated[
    bool, typer.Option("--json", help="Write JSON to standard output, and nothing else.")
]


@cache
def console() -> Console:
    """Standard output for people."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else _WIDTH_WITHOUT_TERMINAL, highlight=False)


@cache
def messages() -> Console:
    """Standard error: progress and notes."""
    from rich.console import Console

    width = None if sys.stderr.isatty() else _WIDTH_WITHOUT_TERMINAL
    return Console(stderr=True, width=width, highlight=False)


def say(text: str = "") -> None:
    """One line for people, with rich markup."""
    console().print(text, soft_wrap=True)


def note(text: str) -> None:
    """One line about what is going on, on standard error."""
    messages().print(text, soft_wrap=True)


def escape(text: object) -> str:
    """Text that is shown as it is, whatever brackets it holds."""
    from rich.markup import escape as escaped

    return escaped(str(text))


def write_json(value: object) -> None:
    """One JSON object on one line of standard output."""
    print(json.dumps(value, default=_plain, ensure_ascii=False), flush=True)


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    title: str | None = None,
    right: Sequence[str] = (),
    fixed: Sequence[str] = (),
) -> None:
    """A table for people. Columns named in `right` are numbers, those in `fixed` never wrap."""
    from rich import box
    from rich.table import Table

    drawn = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False
    )
    for column in columns:
        is_fixed = column in right or column in fixed
        drawn.add_column(
            column,
            justify="right" if column in right else "left",
            no_wrap=is_fixed,
            overflow="fold",
        )
    for row in rows:
        drawn.add_row(*(cell(value) for value in row))
    console().print(drawn)


def cell(value: object) -> str:
    """A value as a table shows it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.1f}"
    if isinstance(value, datetime):
        return moment(value)
    return str(value)


def moment(value: datetime) -> str:
    """A time in the reader's own time zone, to the second."""
    return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def plural(count: int, noun: str) -> str:
    """`1 document`, `2 documents`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    return str(value)
