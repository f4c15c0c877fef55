"""Getting ready: the model loads before there is a text for it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from rag.embed.engine import open_embedder
from rag.errors import ConfigurationError
from rag_assets_tests.embed.models import write_model
from rag_assets_tests.stack.processes import eventually

pytestmark = pytest.mark.slow


def is_getting_ready() -> bool:
    return any(thread.name == "embedder" for thread in threading.enumerate())


def test_a_prepared_engine_has_loaded_its_model(tmp_path: Path) -> None:
    engine = open_embedder(str(write_model(tmp_path / "model")), "fp32", tmp_path / "cache", "cpu")
    engine.prepare()
    assert eventually(lambda: not is_getting_ready(), 60.0)
    assert list((tmp_path / "cache").rglob("*.xml"))  # converted, and no text yet
    assert engine.embed(["wind"]).shape == (1, engine.dimension)


def test_a_model_that_can_not_be_loaded_is_told_by_the_first_text(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    engine = open_embedder(str(folder), "fp32", tmp_path / "cache", "cpu")
    for weights in folder.glob("*.safetensors"):
        weights.write_bytes(b"damaged")
    engine.prepare()
    assert eventually(lambda: not is_getting_ready(), 60.0)
    with pytest.raises(ConfigurationError, match="are damaged") as caught:
        engine.embed(["wind"])
    assert caught.value.code == "model_unreadable"
