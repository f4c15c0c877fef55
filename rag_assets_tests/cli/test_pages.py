"""docs/ can not lie: pages are generated, and every error code is explained."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.cli.main import build_app
from rag.cli.reference import commands_page, settings_page
from rag.settings import Settings
from rag_assets_tests.cli.conftest import ROOT

DOCS = ROOT / "docs"


def test_settings_page_is_what_the_settings_say():
    assert (DOCS / "settings.md").read_text(encoding="utf-8") == settings_page(), "run `make docs`"


def test_settings_page_has_every_setting_with_a_meaning():
    page = settings_page()

    for name, field in Settings.model_fields.items():
        assert f"`RAG_{name.upper()}`" in page
        assert field.description


def test_commands_page_is_what_the_help_texts_say():
    page = commands_page(build_app())

    assert (DOCS / "commands.md").read_text(encoding="utf-8") == page, "run `make docs`"


def test_the_error_codes_of_the_tree_and_of_the_page_are_the_same():
    # rag.chunking makes the name of these from the name of the setting
    made_at_run_time = {"bad_chunk_strategy", "bad_chunk_prefix"}
    in_tree, in_page = codes_in_tree(), codes_in_page()

    assert sorted(in_tree - in_page) == [], "explain them in docs/errors.md"
    assert sorted(in_page - in_tree - made_at_run_time) == [], "nothing raises them any more"


def codes_in_page() -> set[str]:
    text = (DOCS / "errors.md").read_text(encoding="utf-8")
    return set(re.findall(r"^\| `([a-z0-9_]+)` \|", text, re.MULTILINE))


def codes_in_tree() -> set[str]:
    files = [path for room in ("rag", "rag_assets", "resources", "sensors")
             for path in (ROOT / room).rglob("*.py")]  # fmt: skip
    # an answer of the servers' keeper that is no error
    return {code for path in files for code in codes_in_file(path)} - {"ok"}


def codes_in_file(path: Path) -> Iterator[str]:
    """Literals that are given as `code=...`, as a class's `default_code`, or as {"code": ...}."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        for value in values_of_codes(node):
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield value.value


def values_of_codes(node: ast.AST) -> list[ast.expr | None]:
    if isinstance(node, ast.keyword):
        return [node.value] if node.arg == "code" else []
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return [node.value for each in targets if ast.unparse(each) == "default_code"]
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return [each for key, each in pairs if key is not None and ast.unparse(key) == "'code'"]
    return []


@pytest.mark.parametrize(
    "source",
    ['default_code = "a_code"', 'f(code="a_code")', '{"code": "a_code"}', 'f(1, code="a_code")'],
)
def test_a_code_is_found_however_it_is_given(source, tmp_path):
    file = tmp_path / "module.py"
    file.write_text(source, encoding="utf-8")

    assert list(codes_in_file(file)) == ["a_code"]


def guaranteed() -> dict[str, list[tuple[str, str]]]:
    """The tests (file, name) that docs/guarantees.md gives for each guarantee."""
    text = (DOCS / "guarantees.md").read_text(encoding="utf-8")
    sections = re.split(r"^## (G\d+) .*$", text, flags=re.MULTILINE)[1:]
    proofs = re.compile(r"^- `(\S+\.py)::(\w+)`", re.MULTILINE)
    return {
        name: proofs.findall(body) for name, body in zip(sections[::2], sections[1::2], strict=True)
    }


def test_every_guarantee_names_a_test_that_is_there():
    found = guaranteed()

    assert {f"G{number}" for number in range(1, 10)} <= set(found)
    assert [name for name, proofs in found.items() if not proofs] == []
    missing = [
        f"{file}::{test}"
        for proofs in found.values()
        for file, test in proofs
        if f"def {test}(" not in (ROOT / file).read_text(encoding="utf-8")
    ]
    assert missing == []


def test_every_kind_of_source_is_explained():
    from rag.sources import csv_file, table

    page = (DOCS / "sources.md").read_text(encoding="utf-8")

    for scheme in ("s3", "file", csv_file.SCHEME, table.SCHEME):
        assert f"{scheme}://" in page
