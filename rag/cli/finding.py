"""What one check of `rag doctor` found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from rag.errors import RagError


class Level(StrEnum):
    """ok; warn: works, with a drawback; fail: something will not work."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; `advice` says what to do about it."""

    level: Level
    subject: str
    detail: str
    advice: str = ""


def ok(subject: str, detail: str) -> Finding:
    """All is well."""
    return Finding(Level.OK, subject, detail)


def warn(subject: str, detail: str, advice: str) -> Finding:
    """It works, with a drawback."""
    return Finding(Level.WARN, subject, detail, advice)


def fail(subject: str, detail: str, advice: str = "") -> Finding:
    """Something will not work."""
    return Finding(Level.FAIL, subject, detail, advice)


def findings_of(subject: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """What a check finds; an error of ours ends it as a failure, and the next check goes on."""
    try:
        yield from check()
    except RagError as error:
        yield fail(subject, f"{error.message} [{error.code}]")
