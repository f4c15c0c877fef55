"""The edge of the command: every error leaves as one line and an exit code, never a traceback.

0    done
1    an error: `Cannot proceed: ...` on standard error, with its stable code
2    the command line itself is wrong
3    `rag ingest` went through, and some documents failed
130  Ctrl-C
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path

import typer

from rag.errors import RagError


class Exit(IntEnum):
    """How a command ends."""

    OK = 0
    ERROR = 1
    USAGE = 2
    DOCUMENTS_FAILED = 3
    INTERRUPTED = 130


# typer carries its own copy of click's errors and exports but these: UsageError, ClickException
_UsageError, _ClickException = typer.BadParameter.__mro__[1:3]


def run(command: Callable[[], object], arguments: list[str]) -> int:
    """The exit code of a command; what it raised is reported."""
    as_json = "--json" in arguments
    try:
        result = command()
    except RagError as error:
        if error.facts.get("log_tail"):
            print(f"  {error.facts['log_tail']}", file=sys.stderr)
        return _report(error.message, Exit.ERROR, as_json, code=error.code)
    except (KeyboardInterrupt, typer.Abort):
        return _report_interrupt(as_json)
    except BrokenPipeError:
        return _reader_left()
    except Exception as error:
        if isinstance(error, _ClickException):
            return _report_usage(error, as_json)
        return _report_unexpected(error, as_json)
    if result == Exit.INTERRUPTED:  # typer makes this of a KeyboardInterrupt
        return _report_interrupt(as_json)
    return result if isinstance(result, int) else Exit.OK


def _report(
    message: str, status: Exit, as_json: bool, *, code: str, prefix: str = "Cannot proceed: "
) -> int:
    line = " ".join(message.split())
    if as_json:
        print(json.dumps({"code": code, "message": line}, ensure_ascii=False), flush=True)
    shown = f"{prefix}{line} [{code}]" if prefix else line
    print(shown, file=sys.stderr, flush=True)
    return status


def _report_interrupt(as_json: bool) -> int:
    return _report("Interrupted.", Exit.INTERRUPTED, as_json, code="interrupted", prefix="")


def _report_usage(error: Exception, as_json: bool) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":  # its message is the help itself
        print(error, flush=True)
        return Exit.USAGE
    message = error.format_message()  # type: ignore[attr-defined]
    context = getattr(error, "ctx", None)
    name = context.command_path if context is not None else "rag"
    return _report(f"{message} See `{name} --help`.", Exit.USAGE, as_json, code="bad_usage")


def _report_unexpected(error: Exception, as_json: bool) -> int:
    import traceback

    text = "".join(traceback.format_exception(error))
    where = _keep(text)
    kind = type(error).__name__
    message = f"{kind}: {error}. This is a defect of rag; {where}"
    return _report(message, Exit.ERROR, as_json, code="unexpected")


def _keep(text: str) -> str:
    """Write the traceback to the log; says where it is."""
    from datetime import UTC, datetime

    log = _home() / "logs" / "rag.log"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            file.write(f"{datetime.now(UTC).isoformat()} {' '.join(sys.argv)}\n{text}\n")
    except OSError:
        return f"{log} can not be written, so the traceback is lost."
    return f"the full traceback is in {log}."


def _home() -> Path:
    from rag.settings import load_settings

    try:
        return load_settings().home
    except RagError:
        return Path(".rag")


def _reader_left() -> int:
    """Whoever read our output has seen enough: no complaint when Python flushes at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return Exit.OK
