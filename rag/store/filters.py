"""Which documents a search may find, as its caller asks and as access lists allow."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from psycopg.types.json import Jsonb

from rag.errors import ConfigurationError

Plain = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Range:
    """Values from `low` to `high`, both included; None is no bound. Numbers compare as numbers,
    texts (ISO dates among them) as texts."""

    low: str | float | None = None
    high: str | float | None = None

    def checked(self) -> Range:
        """The range itself. Raises ConfigurationError (`bad_filter`) unless it has a bound, and
        all of one kind."""
        kinds = {isinstance(bound, str) for bound in (self.low, self.high) if bound is not None}
        if len(kinds) != 1:
            raise ConfigurationError(
                "A range of metadata needs one or two bounds, both numbers or both texts.",
                code="bad_filter",
            )
        return self

    @property
    def is_number(self) -> bool:
        """Whether values are compared as numbers."""
        return not isinstance(self.high if self.low is None else self.low, str)


@dataclass(frozen=True, slots=True)
class Filters:
    """Which documents a search may find; None is no restriction. `filenames` are the last parts of
    their addresses; `names` are globs over these or the whole address; the times are those of the
    served version; `languages` and `metadata` are what the parser found."""

    filenames: tuple[str, ...] | None = None
    media_types: tuple[str, ...] | None = None
    modified_from: datetime | None = None
    modified_to: datetime | None = None
    names: tuple[str, ...] | None = None
    languages: tuple[str, ...] | None = None
    metadata: Mapping[str, Plain | Range] = field(default_factory=dict)

    def parameters(self) -> dict[str, object]:
        """What the statement `permitted` asks for."""
        equal = {key: value for key, value in self.metadata.items() if not isinstance(value, Range)}
        ranges = [(key, each) for key, each in self.metadata.items() if isinstance(each, Range)]
        return {
            "filenames": _list(self.filenames),
            "media_types": _list(self.media_types),
            "languages": _list(self.languages),
            "name_patterns": None if self.names is None else list(map(_pattern, self.names)),
            "modified_from": self.modified_from,
            "modified_to": self.modified_to,
            "metadata": Jsonb(equal) if equal else None,
            "range_keys": [key for key, _ in ranges],
            "range_lows": [_text(each.low) for _, each in ranges],
            "range_highs": [_text(each.high) for _, each in ranges],
            "ranges_are_numbers": [each.is_number for _, each in ranges],
        }


NO_FILTERS = Filters()
# what a glob is made of; a `[` without its `]` is a letter like others
_PIECE = re.compile(r"\*+|\?|\[!?+\]?+[^\]]*\]|.", re.DOTALL)
_MEMBER = re.compile(r"(.)-(.)|(.)", re.DOTALL)
_NOTHING = "$."


def _list(values: tuple[str, ...] | None) -> list[str] | None:
    return None if values is None else list(values)


def _text(bound: str | float | None) -> str | None:
    return None if bound is None else str(bound)


def _pattern(glob: str) -> str:
    """A glob, as fnmatch has it, as a regular expression that Postgres always takes."""
    return "^" + "".join(_piece(part) for part in _PIECE.findall(glob)) + "$"


def _piece(part: str) -> str:
    if part.startswith("*"):
        return ".*"
    if part == "?":
        return "."
    if len(part) > 1:
        return _set(part[1:-1])
    return _letter(part)


def _set(inside: str) -> str:
    """One letter of these; a range that runs backwards has none."""
    is_negated = inside.startswith("!")
    found = [match.groups() for match in _MEMBER.finditer(inside[is_negated:])]
    members = "".join(
        _letter(single) if single else f"{_letter(low)}-{_letter(high)}"
        for low, high, single in found
        if single or low <= high
    )
    if not members:
        return "." if is_negated else _NOTHING
    return f"[{'^' * is_negated}{members}]"


def _letter(letter: str) -> str:
    """The letter itself, whatever it means elsewhere."""
    return "\\" + letter if letter.isascii() and not letter.isalnum() else letter
