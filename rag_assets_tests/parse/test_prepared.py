"""Getting ready: children that start before there is a file for them."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest

from rag.errors import ConfigurationError
from rag.parse.limits import ParseLimits
from rag.parse.pool import DoclingParser
from rag.ports import FileLimits, ParseJob
from rag_assets_tests.parse.test_pool import CHILD, jobs
from rag_assets_tests.stack.processes import eventually

pytestmark = pytest.mark.slow
LIMITS = ParseLimits(wall_s=10.0, wall_per_page_s=0)


def pool(tmp_path: Path, workers: int = 2) -> DoclingParser:
    command = [sys.executable, str(CHILD), str(tmp_path / "pids")]
    return DoclingParser(LIMITS, workers=workers, command=lambda _: command)


def children() -> set[str]:
    mine = psutil.Process().children(recursive=True)
    return {str(child.pid) for child in mine if str(CHILD) in " ".join(child.cmdline())}


def test_the_child_that_is_ready_takes_the_first_file(tmp_path: Path) -> None:
    with pool(tmp_path) as parser:
        parser.prepare(1)
        assert eventually(lambda: len(children()) == 1, 30.0)
        ready = children()
        (outcome,) = parser.parse(jobs(tmp_path, "a"))
        assert outcome.document is not None
        assert outcome.document.parser in ready


def test_no_more_children_get_ready_than_there_are_files_or_workers(tmp_path: Path) -> None:
    with pool(tmp_path) as parser:
        parser.prepare(9)
        parser.prepare(9)
        assert eventually(lambda: len(children()) == 2, 30.0)
        assert len(list(parser.parse(jobs(tmp_path, "a", "b", "c")))) == 3
        assert len(children()) == 2


def test_a_child_with_other_limits_is_not_used(tmp_path: Path) -> None:
    with pool(tmp_path, workers=1) as parser:
        parser.prepare(1, FileLimits(10**6, 10, 5.0, 10**9))
        assert eventually(lambda: len(children()) == 1, 30.0)
        ready = children()
        (outcome,) = parser.parse(jobs(tmp_path, "a"))
        assert outcome.document is not None
        assert outcome.document.parser not in ready
        assert len(children()) == 1


def test_what_went_wrong_meanwhile_is_told_by_the_first_file(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no docling here')"]
    with DoclingParser(LIMITS, workers=1, command=lambda _: command) as parser:
        parser.prepare(1)
        with pytest.raises(ConfigurationError, match="no docling here"):
            list(parser.parse(jobs(tmp_path, "a")))


def test_closing_a_parser_that_gets_ready_leaves_nothing(tmp_path: Path) -> None:
    parser = pool(tmp_path)
    parser.prepare(2)
    parser.close()
    assert eventually(lambda: children() == set(), 30.0)


def test_a_prepared_parser_reads_real_files(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("# Lift\n\nIt runs.\n", encoding="utf-8")
    with DoclingParser(workers=1) as parser:
        parser.prepare(1)
        (outcome,) = parser.parse([ParseJob(0, path, path.name)])
    assert outcome.document is not None
    assert "It runs." in outcome.document.text
