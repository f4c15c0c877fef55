"""The converted model is made once, whole, and read without torch."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from rag.embed.engine import open_embedder
from rag.embed.filelock import locked, replace_text
from rag.errors import UnavailableError
from rag_assets_tests.embed.models import write_model

_CHILD = """
import sys
from pathlib import Path
from rag.embed.engine import open_embedder
said = []
engine = open_embedder(sys.argv[1], sys.argv[3], Path(sys.argv[2]), "cpu", said.append)
assert engine.embed(["wind", "gauge"]).shape[0] == 2
assert engine.fallback_reason is None, engine.fallback_reason
heavy = {"torch", "transformers", "sentence_transformers"} & set(sys.modules)
assert not heavy, heavy
print(len(said))
"""


def spawn(folder: Path, cache: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _CHILD, str(folder), str(cache), "int8"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.slow
def test_the_first_opening_converts_with_progress_and_the_second_reads(tmp_path: Path) -> None:
    folder, cache = write_model(tmp_path / "model"), tmp_path / "cache"
    said: list[str] = []
    first = open_embedder(str(folder), "bf16", cache, "cpu", said.append).embed(["wind"])
    assert len(said) == 2
    second = open_embedder(str(folder), "bf16", cache, "cpu", said.append).embed(["wind"])
    assert len(said) == 2
    np.testing.assert_array_equal(first, second)


def test_whoever_converts_is_told_without_asking(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    code = (
        "import sys; from pathlib import Path; from rag.embed.engine import open_embedder; "
        "open_embedder(sys.argv[1], 'fp32', Path(sys.argv[2])).embed(['wind'])"
    )
    command = [sys.executable, "-c", code, str(model), str(tmp_path / "cache")]
    first, second = (
        subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stderr
        for _ in range(2)
    )
    assert "converting" in first and "converted" in first
    assert "convert" not in second


def test_opening_alone_loads_no_model(tmp_path: Path) -> None:
    folder, cache = write_model(tmp_path / "model"), tmp_path / "cache"
    assert open_embedder(str(folder), "bf16", cache, "cpu").embed([]).shape[0] == 0
    assert not (cache / "openvino").exists()


def test_a_conversion_that_was_killed_leaves_nothing_that_looks_finished(tmp_path: Path) -> None:
    folder, cache = write_model(tmp_path / "model"), tmp_path / "cache"
    (cache / "openvino" / ".converting-dead").mkdir(parents=True)
    (cache / "openvino" / ".converting-dead" / "model.xml").write_text("half", encoding="utf-8")
    engine = open_embedder(str(folder), "fp32", cache, "cpu")
    assert engine.embed(["wind"]).shape[0] == 1
    assert engine.fallback_reason is None


@pytest.mark.slow
def test_processes_that_start_together_convert_once_and_import_no_torch(tmp_path: Path) -> None:
    folder, cache = write_model(tmp_path / "model"), tmp_path / "cache"
    children = [spawn(folder, cache) for _ in range(3)]
    said = [child.communicate(timeout=120)[0].strip() for child in children]
    assert [child.returncode for child in children] == [0, 0, 0], said
    assert sorted(said) == ["0", "0", "2"]


def test_a_lock_that_is_held_for_too_long_is_reported(tmp_path: Path) -> None:
    with (
        locked(tmp_path / "lock", 1),
        pytest.raises(UnavailableError) as caught,
        locked(tmp_path / "lock", 0.01),
    ):
        pass
    assert caught.value.code == "cache_locked"


def test_a_waiting_process_goes_on_when_the_lock_is_free(tmp_path: Path) -> None:
    held = threading.Event()

    def hold() -> None:
        with locked(tmp_path / "lock", 1):
            held.set()
            threading.Event().wait(0.2)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(5)
    with locked(tmp_path / "lock", 10):
        assert not holder.is_alive() or holder.join(5) is None
    holder.join(5)


def test_a_replaced_file_is_never_half_written(tmp_path: Path) -> None:
    replace_text(tmp_path / "a" / "note", "one")
    replace_text(tmp_path / "a" / "note", "two")
    assert (tmp_path / "a" / "note").read_text(encoding="utf-8") == "two"
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["note"]
