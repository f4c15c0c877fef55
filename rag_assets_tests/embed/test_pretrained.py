"""Finding and describing a model."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from rag.embed.engine import open_embedder
from rag.embed.pretrained import BUNDLED_NAME, bundled_model_folder, describe_model
from rag.errors import ConfigurationError
from rag.fingerprint import fingerprint
from rag_assets_tests.embed.models import WIDTH, damage_weights, write_model


def test_the_default_name_is_the_bundled_model(tmp_path: Path) -> None:
    model = describe_model(BUNDLED_NAME, tmp_path)
    weights = (bundled_model_folder() / "model.safetensors").read_bytes()
    assert model.weights == hashlib.sha256(weights).hexdigest()[:16]
    assert (model.dimension, model.max_tokens, model.pooling) == (384, 256, "mean")


def test_changed_weights_change_the_fingerprint(tmp_path: Path) -> None:
    folder, cache = write_model(tmp_path / "model"), tmp_path / "cache"
    before = open_embedder(str(folder), "bf16", cache, "cpu").config
    again = open_embedder(str(folder), "bf16", cache, "cpu").config
    damage_weights(folder)
    after = open_embedder(str(folder), "bf16", cache, "cpu").config
    assert fingerprint("model", before) == fingerprint("model", again)
    assert fingerprint("model", before) != fingerprint("model", after)


def test_precision_changes_the_fingerprint(tmp_path: Path) -> None:
    folder = str(write_model(tmp_path / "model"))
    configs = [open_embedder(folder, p, tmp_path, "cpu").config for p in ("bf16", "fp32", "int8")]
    assert len({fingerprint("model", config) for config in configs}) == 3


@pytest.mark.parametrize("name", ["no such model!", "../elsewhere", "/nowhere/at/all", ""])
def test_a_name_that_is_no_model_is_refused_at_once(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_embedder(name, "bf16", tmp_path)
    assert caught.value.code == "model_not_found"


def test_a_hub_model_that_can_not_be_had_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub.errors import LocalEntryNotFoundError

    def offline(name: str, **how: Any) -> str:
        raise LocalEntryNotFoundError("offline")

    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    with pytest.raises(ConfigurationError, match="RAG_EMBEDDING_MODEL") as caught:
        open_embedder("some/model", "bf16", tmp_path)
    assert caught.value.code == "model_not_found"


def test_a_hub_model_is_used_from_its_downloaded_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_model(tmp_path / "snapshot")
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name, **how: str(folder))
    engine = open_embedder("some/model", "fp32", tmp_path / "cache", "cpu")
    assert engine.config["model"] == "some/model"
    assert engine.embed(["wind"]).shape == (1, WIDTH)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ConfigurationError) as caught:
        open_embedder(str(folder), "bf16", tmp_path)
    assert caught.value.code == "bad_model"


def test_the_newer_way_to_write_a_pooling_is_read(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    for mode, expected in (("max", "max"), ("lasttoken", "other")):
        config = {"pooling_mode": mode, "embedding_dimension": WIDTH}
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(config), encoding="utf-8")
        assert describe_model(str(folder), tmp_path).pooling == expected


@pytest.mark.parametrize(("precision", "device"), [("fp16", "cpu"), ("bf16", "tpu")])
def test_unknown_precisions_and_devices_are_refused(
    precision: Any, device: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_embedder(BUNDLED_NAME, precision, tmp_path, device)
    assert caught.value.code == "bad_setting"
