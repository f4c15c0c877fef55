"""`rag doctor` repeats why the slower engine computes, and is silent when the fast one does."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from rag.cli import checkup
from rag.cli.finding import Finding, Level
from rag.settings import Settings
from rag_assets_tests.embed.models import write_model


def finding(tmp_path: Path) -> Finding:
    model = str(write_model(tmp_path / "model"))
    (found,) = checkup.embedding(Settings(home=tmp_path / "home", embedding_model=model))
    return found


@pytest.mark.slow
def test_the_doctor_repeats_why_openvino_does_not_compute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> Path:
        raise RuntimeError("no such operation")

    monkeypatch.setattr("rag.embed.ir.converted", fails)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # other projects warn on import
        found = finding(tmp_path)
    assert found.level is Level.WARN
    assert "on torch" in found.detail
    assert "no such operation" in found.detail


@pytest.mark.slow
def test_the_doctor_is_content_with_the_fast_engine(tmp_path: Path) -> None:
    found = finding(tmp_path)
    assert found.level is Level.OK
    assert "on openvino" in found.detail
