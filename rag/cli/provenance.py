"""Settings in force and where each comes from, with secrets hidden."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rag.settings import Settings

# variables that begin as settings do and are none: they say where settings or tests' data are
_KNOWN = frozenset({"RAG_CONFIG", "RAG_TEST_DATA"})
# databases of table sources, named by their addresses
_TABLE = re.compile(r"RAG_TABLE_\w+_URL")


@dataclass(frozen=True, slots=True)
class SettingInForce:
    """A setting's value as it may be shown, and where it comes from."""

    name: str
    value: str
    source: str


def settings_in_force(settings: Settings) -> list[SettingInForce]:
    """Every setting in the order of the reference."""
    in_file = _names_in_file()
    file = os.environ.get("RAG_CONFIG", "rag.toml")
    environment = {name.upper() for name in os.environ}
    rows = []
    for name in type(settings).model_fields:
        set_by = next((known for known in _variables(name) if known in environment), None)
        source = set_by or (file if name in in_file else "default")
        rows.append(SettingInForce(name, _shown(getattr(settings, name)), source))
    return rows


def strangers() -> list[str]:
    """Variables RAG_... that no setting reads."""
    from rag.settings import Settings

    known = {f"RAG_{name.upper()}" for name in Settings.model_fields} | _KNOWN
    ours = [name for name in os.environ if name.upper().startswith("RAG_")]
    return sorted(
        name for name in ours if name.upper() not in known and not _TABLE.fullmatch(name.upper())
    )


def _variables(name: str) -> list[str]:
    """The environment variables that set a setting, the strongest first."""
    from pydantic import AliasChoices

    from rag.settings import Settings

    alias = Settings.model_fields[name].validation_alias
    return (
        list(map(str, alias.choices))
        if isinstance(alias, AliasChoices)
        else [f"RAG_{name.upper()}"]
    )


def without_password(url: str) -> str:
    """A server's address that may be shown: no password, no parameters."""
    from urllib.parse import urlsplit, urlunsplit

    parts = urlsplit(url)
    user, _, place = parts.netloc.rpartition("@")
    name = user.partition(":")[0]
    shown = f"{name}:****@{place}" if user else place
    return urlunsplit(parts._replace(netloc=shown, query="", fragment=""))


def _shown(value: object) -> str:
    from pydantic import SecretStr

    if isinstance(value, SecretStr):
        return without_password(value.get_secret_value())
    if value is None:
        return "unset"
    text = str(value)
    return without_password(text) if "://" in text else text


def _names_in_file() -> set[str]:
    import tomllib
    from pathlib import Path

    file = Path(os.environ.get("RAG_CONFIG", "rag.toml"))
    if not file.is_file():
        return set()
    return set(tomllib.loads(file.read_text(encoding="utf-8")))
