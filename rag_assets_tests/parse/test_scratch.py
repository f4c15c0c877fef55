"""The folders of parser children: those of dead workers go, those in use stay."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from rag.parse.scratch import Scratch

WORKER = """
import sys, time
from rag.parse.scratch import Scratch
scratch = Scratch.make()
(scratch.folder / "in-document").write_text("secret")
print(scratch.folder, flush=True)
time.sleep(60)
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def start(temporary: Path) -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_what_a_killed_worker_left_is_removed_by_the_next_one(temporary: Path) -> None:
    process, folder = start(temporary)
    with process:
        mine = Scratch.make()
        assert (folder / "in-document").read_text() == "secret"  # in use: left alone
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
        assert folder.exists()
        Scratch.make().remove()
        assert list(temporary.iterdir()) == [mine.folder]
        mine.remove()


def test_a_folder_without_a_lock_is_removed_only_when_it_is_old(temporary: Path) -> None:
    fresh, old = temporary / "rag-parse-fresh", temporary / "rag-parse-old"
    for folder in (fresh, old):
        folder.mkdir()
    os.utime(old, (time.time() - 3600,) * 2)
    Scratch.make().remove()
    assert list(temporary.iterdir()) == [fresh]


def test_a_lock_that_is_a_link_is_not_followed(temporary: Path) -> None:
    trap = temporary / "rag-parse-trap"
    trap.mkdir()
    (temporary / "target").write_text("")
    (trap / "in-use").symlink_to(temporary / "target")
    Scratch.make().remove()
    assert trap.exists()
    assert (temporary / "target").exists()


def test_removing_twice_does_nothing(temporary: Path) -> None:
    scratch = Scratch.make()
    scratch.remove()
    scratch.remove()
    assert list(temporary.iterdir()) == []
