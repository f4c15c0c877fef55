"""The spool: small files wait in memory, others on disk, and nobody else's are taken."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from rag.ingest import spool as spools
from rag.ingest.spool import Spool

SMALL, LARGE = b"a rope", b"x" * (256 * 1024 + 1)


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for the system's folder in memory; ours in it is made by the spool."""
    monkeypatch.setattr(spools, "_MEMORY", tmp_path)
    return tmp_path / f"rag-spool-{os.getuid()}"


def kept(spool: Spool, data: bytes) -> bytes:
    with spool.incoming(len(data)) as path:
        path.write_bytes(data)
        return spool.keep(path)


def test_a_small_file_waits_in_memory_and_a_large_one_on_disk(tmp_path: Path, memory: Path) -> None:
    spool = Spool(tmp_path / "disk")
    hashes = [kept(spool, data) for data in (SMALL, LARGE)]
    taken = [spool.take(content_hash) for content_hash in hashes]

    assert [path and path.parent for path in taken] == [memory, tmp_path / "disk"]
    assert [path and path.read_bytes() for path in taken] == [SMALL, LARGE]
    assert spool.take(hashes[0]) is None
    for path in taken:
        assert path is not None
        spool.drop(path)
    assert not [*memory.iterdir(), *(tmp_path / "disk").iterdir()]


def test_spools_of_other_folders_share_the_memory_and_no_file(tmp_path: Path, memory: Path) -> None:
    ours, other = Spool(tmp_path / "ours"), Spool(tmp_path / "other")
    content_hash = kept(ours, SMALL)

    assert len(list(memory.iterdir())) == 1
    assert other.take(content_hash) is None
    assert Spool(tmp_path / "ours").take(content_hash) is not None


@pytest.mark.usefixtures("memory")
def test_what_does_not_fit_in_memory_goes_to_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spools, "_MEMORY_BYTES", len(SMALL))
    spool = Spool(tmp_path / "disk")
    kept(spool, SMALL)
    content_hash = kept(spool, b"another rope")

    taken = spool.take(content_hash)
    assert taken is not None and taken.parent == tmp_path / "disk"


def test_leftovers_make_room_again(tmp_path: Path, memory: Path) -> None:
    content_hash = kept(Spool(tmp_path / "disk"), SMALL)
    (left,) = memory.iterdir()
    Spool(tmp_path / "disk")
    assert left.exists()
    os.utime(left, (time.time(), time.time() - 3600))

    assert Spool(tmp_path / "disk").take(content_hash) is None
    assert not left.exists()


def test_a_folder_that_others_can_enter_is_not_used(tmp_path: Path, memory: Path) -> None:
    memory.mkdir()
    memory.chmod(0o755)
    spool = Spool(tmp_path / "disk")
    taken = spool.take(kept(spool, SMALL))

    assert taken is not None and taken.parent == tmp_path / "disk"
    assert not list(memory.iterdir())
