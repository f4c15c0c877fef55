"""Where OpenVINO can not run a model, torch does, and says so."""

from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from rag.embed.engine import open_embedder, unit_vectors
from rag.errors import ConfigurationError, TerminalError, UnavailableError
from rag_assets_tests.embed.models import WIDTH, write_model
from rag_assets_tests.embed.test_engine_quality import reference

_TEXTS = ["wind", "a b c d e", "gauge wind", "z " * 40, ""]


@pytest.fixture
def quiet() -> Any:
    """Other projects warn on import, which is not what these tests are about."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def write_dense(folder: Path, width: int) -> None:
    random = np.random.default_rng(3)
    dense = folder / "2_Dense"
    dense.mkdir()
    config = {
        "in_features": WIDTH,
        "out_features": width,
        "bias": True,
        "activation_function": "torch.nn.modules.activation.Tanh",
    }
    (dense / "config.json").write_text(json.dumps(config), encoding="utf-8")
    weights = {
        "linear.weight": random.normal(size=(width, WIDTH)).astype(np.float32),
        "linear.bias": random.normal(size=width).astype(np.float32),
    }
    save_file(weights, dense / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.slow
@pytest.mark.usefixtures("quiet")
def test_a_model_with_further_modules_runs_in_torch_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_model(tmp_path / "model", extra_module="Dense")
    write_dense(folder, 8)
    engine = open_embedder(str(folder), "fp32", tmp_path / "cache", "cpu")
    with caplog.at_level(logging.WARNING, logger="rag.embed.engine"):
        vectors = engine.embed(_TEXTS)
    assert (engine.engine, vectors.shape) == ("torch", (len(_TEXTS), 8))
    assert "modules" in str(engine.fallback_reason)
    assert "embedding_fallback" in caplog.text
    assert (vectors * reference(folder, _TEXTS)).sum(axis=1).min() > 0.9999


@pytest.mark.slow
@pytest.mark.usefixtures("quiet")
def test_a_failed_conversion_falls_back_and_names_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("no such operation\nsecond line")

    monkeypatch.setattr("rag.embed.ir.draw_encoder", refuse)
    folder = write_model(tmp_path / "model")
    engine = open_embedder(str(folder), "bf16", tmp_path / "cache", "cpu")
    cosine = (engine.embed(_TEXTS) * reference(folder, _TEXTS)).sum(axis=1)
    assert engine.engine == "torch"
    assert engine.fallback_reason == "RuntimeError: no such operation"
    assert cosine.min() > 0.999


@pytest.mark.slow
@pytest.mark.usefixtures("quiet")
def test_an_architecture_that_is_not_drawn_is_traced(tmp_path: Path) -> None:
    from transformers import DistilBertConfig, DistilBertModel

    folder = write_model(tmp_path / "model")
    shape = {"dim": WIDTH, "hidden_dim": 64, "n_layers": 2, "n_heads": 4, "vocab_size": 32}
    DistilBertModel(DistilBertConfig(**shape, max_position_embeddings=66)).save_pretrained(folder)
    engine = open_embedder(str(folder), "fp32", tmp_path / "cache", "cpu")
    cosine = (engine.embed(_TEXTS) * reference(folder, _TEXTS)).sum(axis=1)
    assert (engine.engine, engine.fallback_reason) == ("openvino", None)
    assert cosine.min() > 0.9999


def test_a_missing_graphics_card_is_a_configuration_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.embed.torch_model.cuda_is_available", lambda: False)
    engine = open_embedder(str(write_model(tmp_path / "model")), "bf16", tmp_path, "cuda")
    with pytest.raises(ConfigurationError) as caught:
        engine.embed(["wind"])
    assert caught.value.code == "device_missing"


def test_a_runtime_that_fails_in_the_middle_is_transient(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: object, batches: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr("rag.embed.compiled.CompiledModel.run", fail)
    engine = open_embedder(str(write_model(tmp_path / "model")), "fp32", tmp_path / "c", "cpu")
    with pytest.raises(UnavailableError) as caught:
        engine.embed(["wind"])
    assert caught.value.code == "embedder_failed"


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0])
def test_rows_without_direction_are_refused_with_their_place(bad: float) -> None:
    rows = np.ones((3, 4), np.float32)
    rows[1] = bad
    with pytest.raises(TerminalError) as caught:
        unit_vectors(rows)
    assert (caught.value.code, caught.value.facts["place"]) == ("bad_vector", 1)


def test_progress_counts_up_to_the_different_texts(tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    engine = open_embedder(str(write_model(tmp_path / "model")), "fp32", tmp_path / "c", "cpu")
    engine.embed(["wind"] * 5 + ["a b"] * 5, on_batch=lambda *seen: heard.append(seen))
    assert heard[-1] == (2, 2)


def test_more_texts_than_a_window_come_back_in_order(tmp_path: Path) -> None:
    engine = open_embedder(str(write_model(tmp_path / "model")), "fp32", tmp_path / "c", "cpu")
    letters = "abcdefghijklmnopqrstuvwxyz"
    texts = [f"{a} {b} {c}" for a in letters for b in letters for c in "abcd"]
    together = engine.embed(texts)
    places = [0, 511, 512, 513, 1500, len(texts) - 1]
    alone = np.stack([engine.embed_query(texts[place]) for place in places])
    assert (together[places] * alone).sum(axis=1).min() > 0.9999
