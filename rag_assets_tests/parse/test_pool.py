"""The pool: whatever a parser child does, its document ends with its code and no other does."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from rag.errors import ConfigurationError, PoisonError
from rag.parse.limits import MIB, ParseLimits
from rag.parse.pool import DoclingParser
from rag.ports import FileLimits, ParseJob, ParseOutcome
from rag_assets_tests.stack.processes import eventually

pytestmark = pytest.mark.slow
CHILD = Path(__file__).with_name("misbehaving_child.py")
LIMITS = ParseLimits(wall_s=3.0, wall_per_page_s=0, memory_bytes=300 * MIB, recycle_after=3)


@pytest.fixture
def pids(tmp_path: Path) -> Path:
    return tmp_path / "pids"


@pytest.fixture
def parser(pids: Path) -> Iterator[DoclingParser]:
    command = [sys.executable, str(CHILD), str(pids)]
    with DoclingParser(LIMITS, workers=2, command=lambda _: command) as pool:
        yield pool


def jobs(folder: Path, *modes: str) -> list[ParseJob]:
    made = []
    for key, mode in enumerate(modes):
        path = folder / f"{key}.txt"
        path.write_text(mode, encoding="utf-8")
        made.append(ParseJob(key, path, path.name))
    return made


def by_key(outcomes: Iterator[ParseOutcome]) -> dict[int, ParseOutcome]:
    return {outcome.key: outcome for outcome in outcomes}


def is_running(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(
    ("mode", "code"),
    [
        ("hang", "parse_timeout"),
        ("crash", "parser_crashed"),
        ("exit", "parser_crashed"),
        ("garbage", "parser_crashed"),
        ("unsealed", "parser_crashed"),
        ("flood", "parser_crashed"),
        ("memory", "parse_memory"),
    ],
)
def test_a_misbehaving_child_fails_its_document_alone(
    parser: DoclingParser, tmp_path: Path, mode: str, code: str
) -> None:
    found = by_key(parser.parse(jobs(tmp_path, "good", mode, "fine", "well")))
    error = found.pop(1).error
    assert isinstance(error, PoisonError)
    assert error.code == code
    assert [o.document.text for _, o in sorted(found.items()) if o.document] == [
        "good",
        "fine",
        "well",
    ]


def test_a_document_with_limits_of_its_own_is_held_to_them(
    parser: DoclingParser, tmp_path: Path
) -> None:
    hang, memory, good = jobs(tmp_path, "hang", "memory", "good")
    own = FileLimits(10**6, 10, 0.5, 10**12)
    started = time.monotonic()
    (found,) = parser.parse([replace(hang, limits=own)])
    assert time.monotonic() - started < LIMITS.wall_s
    assert found.error is not None
    assert found.error.facts["limit_s"] == 0.5
    (found,) = parser.parse([replace(memory, limits=own)])
    assert found.error is not None
    assert found.error.code == "parse_timeout"  # it may have the memory, and not the time
    (found,) = parser.parse([good])
    assert found.document is not None


def test_a_hanging_document_ends_at_its_limit_and_delays_no_other(
    parser: DoclingParser, tmp_path: Path
) -> None:
    started = time.monotonic()
    order = [o.key for o in parser.parse(jobs(tmp_path, "hang", "a", "b", "c", "d"))]
    assert order[-1] == 0
    assert time.monotonic() - started < LIMITS.wall_s + 4


def test_a_grandchild_in_its_own_session_is_killed(
    parser: DoclingParser, tmp_path: Path, pids: Path
) -> None:
    found = by_key(parser.parse(jobs(tmp_path, "escape")))
    assert found[0].error is not None
    assert found[0].error.code == "parse_timeout"
    grandchild = int(pids.read_text(encoding="utf-8"))
    assert eventually(lambda: not is_running(grandchild))


def test_children_are_replaced_after_their_share_of_documents(
    parser: DoclingParser, tmp_path: Path
) -> None:
    outcomes = list(parser.parse(jobs(tmp_path, *["x"] * 14)))
    served = [o.document.parser for o in outcomes if o.document]
    assert len(served) == 14
    assert max(served.count(pid) for pid in served) == LIMITS.recycle_after


def test_a_child_that_keeps_too_much_memory_is_replaced(pids: Path, tmp_path: Path) -> None:
    limits = replace(LIMITS, recycle_after=1000, recycle_rss_bytes=1 * MIB)
    command = [sys.executable, str(CHILD), str(pids)]
    with DoclingParser(limits, workers=1, command=lambda _: command) as pool:
        served = [o.document.parser for o in pool.parse(jobs(tmp_path, *["x"] * 40)) if o.document]
    assert [served.count(pid) for pid in dict.fromkeys(served)] == [16, 16, 8]


def test_closing_the_generator_kills_what_runs_and_leaves_the_pool_usable(
    pids: Path, tmp_path: Path
) -> None:
    limits = replace(LIMITS, wall_s=60.0)
    command = [sys.executable, str(CHILD), str(pids)]
    with DoclingParser(limits, workers=2, command=lambda _: command) as pool:
        outcomes = pool.parse(jobs(tmp_path, "good", "hang", "hang"))
        assert next(outcomes).document is not None
        outcomes.close()  # type: ignore[attr-defined]
        started = time.monotonic()
        assert by_key(pool.parse(jobs(tmp_path, "again")))[0].document is not None
        assert time.monotonic() - started < limits.wall_s / 2


def test_closing_the_parser_leaves_no_child_behind(pids: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(CHILD), str(pids)]
    pool = DoclingParser(LIMITS, workers=2, command=lambda _: command)
    list(pool.parse(jobs(tmp_path, "a", "b", "c")))
    pool.close()
    mine = psutil.Process().children(recursive=True)
    assert not [p for p in mine if str(CHILD) in " ".join(p.cmdline())]


def test_a_child_that_can_not_start_raises_instead_of_condemning_documents(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no docling here')"]
    with (
        DoclingParser(LIMITS, workers=1, command=lambda _: command) as pool,
        pytest.raises(ConfigurationError, match="no docling here") as caught,
    ):
        list(pool.parse(jobs(tmp_path, "a")))
    assert caught.value.code == "parser_unavailable"


def test_a_crash_after_other_documents_is_judged_by_a_fresh_child(tmp_path: Path) -> None:
    """A worn child that dies is no proof against the document it held."""
    fragile = (
        "import sys, os; sys.path.insert(0, os.path.dirname(sys.argv[1]))\n"
        "import misbehaving_child as m\n"
        "count = 0\n"
        "def misbehave(mode, request):\n"
        "    global count\n"
        "    count += 1\n"
        "    if count == 2: os._exit(3)\n"
        "m.misbehave = misbehave\n"
        "m.main()\n"
    )
    command = [sys.executable, "-c", fragile, str(CHILD)]
    with DoclingParser(LIMITS, workers=1, command=lambda _: command) as pool:
        found = by_key(pool.parse(jobs(tmp_path, "a", "b", "c", "d")))
    assert [o.error for o in found.values()] == [None] * 4


def test_importing_the_pool_imports_neither_docling_nor_torch() -> None:
    heavy = "{'docling', 'torch', 'docling_parse'}"
    code = f"import sys, rag.parse.pool; print({heavy} & set(sys.modules))"
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert shown.stdout.strip() == "set()"


def test_the_real_child_has_no_secret_no_network_and_no_foreign_files(tmp_path: Path) -> None:
    probe = (
        "import os, sys, socket, pathlib, json\n"
        "from rag.parse import sandbox, wire\n"
        "from rag.parse.limits import ParseLimits\n"
        "holds = sandbox.confine(ParseLimits(), pathlib.Path(os.environ['TMPDIR']))\n"
        "def tried(act):\n"
        "    try: act()\n"
        "    except OSError: return 'denied'\n"
        "    return 'allowed'\n"
        "holds['connect'] = tried(lambda: socket.create_connection(('127.0.0.1', 9), 1))\n"
        "holds['foreign'] = tried(lambda: open(sys.argv[1]).read())\n"
        "holds['secret'] = os.environ.get('RAG_SECRET', 'absent')\n"
        "out = sys.stdout.buffer\n"
        "out.write(wire.pack_json(wire.READY, holds)); out.flush()\n"
        "sys.stdin.buffer.read()\n"
    )
    foreign = tmp_path / "foreign"
    foreign.write_text("another tenant's text", encoding="utf-8")
    os.environ["RAG_SECRET"] = "s3cret"
    try:
        command = [sys.executable, "-c", probe, str(foreign)]
        with DoclingParser(LIMITS, workers=1, command=lambda _: command) as pool:
            list(pool.parse(jobs(tmp_path, "a")))
            hello = pool.hello
    finally:
        del os.environ["RAG_SECRET"]
    assert hello["secret"] == "absent"
    assert hello["connect"] == "denied"
    assert hello["foreign"] == ("denied" if hello["files"] == "landlock" else "allowed")
