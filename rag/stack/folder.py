"""Folders and small files of the stack: private, written whole or not at all."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from rag.errors import ConfigurationError


def ensure_folder(path: Path, mode: int = 0o700) -> Path:
    """The folder, made when absent. Raises ConfigurationError when that can not be."""
    try:
        path.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"Can not create the folder {path} ({error.strerror}): set RAG_HOME to a folder this "
            "user may write to.",
            code="home_not_writable",
        ) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise ConfigurationError(
            f"Can not write to the folder {path}: set RAG_HOME to a folder this user may write to.",
            code="home_not_writable",
        )
    return path


def write_private(path: Path, text: str) -> None:
    """Replace the file atomically; only this user may read it."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def read_record(path: Path) -> dict[str, object]:
    """The JSON object in the file; empty when there is none, or it is unreadable or cut short."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def read_or_create_secret(path: Path, length_bytes: int = 24) -> str:
    """A random secret that stays the same from its first use on."""
    if not path.exists():
        write_private(path, secrets.token_hex(length_bytes))
    return path.read_text(encoding="utf-8").strip()


def tail(path: Path, lines: int = 12) -> str:
    """The last lines of a log, for an error message; empty when there is no log."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 16_384))
        text = file.read().decode("utf-8", errors="replace")
    return "\n".join(text.splitlines()[-lines:])
