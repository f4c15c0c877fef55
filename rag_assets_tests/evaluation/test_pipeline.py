"""dvc.yaml: its stages name commands, files and parameters that exist. DVC itself lives in an
environment of its own (docs/adr/0004-dvc-beside.md)."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from rag.cli.main import build_app
from rag.recipe import NAMES, parse_recipe

ROOT = Path(__file__).parents[2]
STAGES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
PARAMS: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
_KEYS = {"cmd", "deps", "params", "outs", "metrics", "plots"}


def resolved(text: str) -> str:
    def value(match: re.Match[str]) -> str:
        found: Any = PARAMS
        for part in match[1].split("."):
            found = found[part]
        return str(found)

    return re.sub(r"\$\{([\w.]+)\}", value, text)


def commands(stage: str) -> list[list[str]]:
    said = STAGES[stage]["cmd"]
    lines = [said] if isinstance(said, str) else said
    return [shlex.split(resolved(line).partition(" || ")[0]) for line in lines]


def test_the_stages_are_those_that_are_promised() -> None:
    assert list(STAGES) == ["prepare-dataset", "index", "evaluate"]
    for stage in STAGES.values():
        assert set(stage) <= _KEYS


@pytest.mark.parametrize("stage", list(STAGES))
def test_every_command_and_option_exists(stage: str) -> None:
    for words in commands(stage):
        assert words[0] == "rag"
        command: Any = typer.main.get_command(build_app())
        rest = words[1:]
        while hasattr(command, "commands"):
            command = command.commands[rest.pop(0)]
        options = {option for parameter in command.params for option in parameter.opts}
        used = {word for word in rest if word.startswith("-")}
        assert used <= options, used - options


@pytest.mark.parametrize("stage", list(STAGES))
def test_every_dependency_is_in_the_repository_or_made_by_an_earlier_stage(stage: str) -> None:
    made: set[str] = set()
    for name, each in STAGES.items():
        if name == stage:
            break
        for kind in ("outs", "metrics", "plots"):
            for out in each.get(kind, []):
                made.add(next(iter(out)) if isinstance(out, dict) else out)
    for dependency in map(resolved, STAGES[stage]["deps"]):
        assert dependency in made or (ROOT / dependency).exists(), dependency


def test_the_recipe_is_whole_and_valid() -> None:
    assert set(PARAMS["recipe"]) == set(NAMES)
    parse_recipe([f"{name}={value}" for name, value in PARAMS["recipe"].items()])
    chosen = [word for words in commands("index") for word in words if "=" in word]
    assert {word.partition("=")[0] for word in chosen} == set(NAMES)
