"""The generated pages of docs/: settings from the settings' model, commands from the help texts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, get_args, get_origin

if TYPE_CHECKING:
    import typer

_SETTINGS_HEAD = """# Settings

<!-- Generated from rag/settings.py: `rag doctor --reference > docs/settings.md`. -->

Each setting is an environment variable `RAG_<NAME>`, or a line `name = value` of a TOML file: the
one that `RAG_CONFIG` names, else `rag.toml` in the working folder. The environment wins over the
file, the file over the default. `rag doctor --settings` shows what is in force and where it comes
from. AWS credentials come from the usual AWS variables and files.

| setting | type | default | meaning |
|---|---|---|---|
"""
_COMMANDS_HEAD = """# Commands

<!-- Generated from the help texts: `python -m rag.cli.reference > docs/commands.md`. -->

Every command takes `--json`: then standard output carries JSON only, and an error is one object
`{"code": ..., "message": ...}`. An error is one line on standard error, `Cannot proceed: ...`, with
a code of [errors.md](errors.md).

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | an error; for `doctor`: something will not work |
| 2 | the command line is wrong |
| 3 | `ingest` went through, and documents of the collection stand failed |
| 130 | Ctrl-C |

The last line of `ingest --json`: `{"documents": {"new", "changed", "renamed", "unchanged",
"deleted", "failed"}, "parsed", "chunks", "embedded", "seconds"}`. `search --json`: `{"collection",
"query", "mode", "generation", "as_of", "hits": [{"document", "uri", "title", "page", "heading",
"text", "score", "ranks", "ordinal", "content_hash", "version_id", "start_char", "end_char"}]}`.
"""


def settings_rows() -> list[dict[str, str]]:
    """Every setting: name, type, default, meaning."""
    from rag.settings import Settings

    return [
        {
            "setting": f"RAG_{name.upper()}",
            "type": _type_name(field.annotation),
            "default": "unset" if field.default is None else str(field.default),
            "meaning": field.description or "",
        }
        for name, field in Settings.model_fields.items()
    ]


def settings_page() -> str:
    """docs/settings.md."""
    lines = [
        f"| `{row['setting']}` | {row['type']} | `{row['default']}` | {_in_cell(row['meaning'])} |"
        for row in settings_rows()
    ]
    return _SETTINGS_HEAD + "\n".join(lines) + "\n"


def commands_page(app: typer.Typer) -> str:
    """docs/commands.md."""
    import typer

    root: Any = typer.main.get_command(app)
    sections = [_section(name, command) for name, command in _commands(root, "rag")]
    return _COMMANDS_HEAD + "\n" + "\n".join(sections)


def _commands(group: Any, path: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, command in group.commands.items():
        full = f"{path} {name}"
        found += _commands(command, full) if hasattr(command, "commands") else [(full, command)]
    return found


def _section(name: str, command: Any) -> str:
    usage = " ".join([name, *(_usage(parameter) for parameter in command.params)])
    lines = [f"## {name}", "", f"`{usage}`", "", " ".join(command.help.split()), ""]
    rows = [_row(parameter) for parameter in command.params]
    return "\n".join([*lines, "| argument or option | meaning |", "|---|---|", *rows, ""])


def _row(parameter: Any) -> str:
    meaning = _in_cell(parameter.help or "") + _default(parameter)
    return f"| `{_in_cell(_names(parameter))}` | {meaning} |"


def _usage(parameter: Any) -> str:
    names = _names(parameter)
    if parameter.param_type_name == "argument" or parameter.required:
        return names
    return f"[{names}]"


def _names(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name.upper())
    names = "/".join(parameter.opts)
    return names if parameter.is_flag else f"{names} {parameter.metavar or _kind(parameter)}"


def _kind(parameter: Any) -> str:
    choices = getattr(parameter.type, "choices", None)
    return (
        "|".join(map(str, choices))
        if choices
        else str(parameter.type.name).upper().removesuffix(" RANGE")
    )


def _default(parameter: Any) -> str:
    value = getattr(parameter.default, "value", parameter.default)
    if parameter.param_type_name == "argument" or parameter.required or value in (None, False):
        return ""
    return f" Default: `{value}`."


def _type_name(annotation: Any) -> str:
    if get_origin(annotation) is not None and str(get_origin(annotation)).endswith("Literal"):
        return " or ".join(f"`{value}`" for value in get_args(annotation))
    inner = [part for part in get_args(annotation) if isinstance(part, type)]
    named = inner[0] if inner else annotation
    return {"SecretStr": "secret", "Path": "path", "str": "text", "float": "number",
            "int": "whole number"}.get(named.__name__, named.__name__)  # fmt: skip


def _in_cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|")


if __name__ == "__main__":
    from rag.cli.main import build_app

    print(commands_page(build_app()), end="")
