"""The engine against sentence-transformers in fp32: the same vectors, to a stated nearness."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rag.embed.engine import Precision, open_embedder
from rag.embed.pretrained import bundled_model_folder
from rag_assets_tests.embed.models import write_model
from rag_assets_tests.embed.texts import VARIED

pytestmark = pytest.mark.slow

_SPEAKABLE = [text.replace("\udc80", "\ufffd") for text in VARIED]


def reference(folder: Path, texts: list[str], **how: Any) -> NDArray[np.float32]:
    """What sentence-transformers makes of `texts` with its defaults."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of other projects' imports
        from sentence_transformers import SentenceTransformer

        model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
        vectors: NDArray[np.float32] = model.encode(
            texts, normalize_embeddings=True, show_progress_bar=False, **how
        )
    return vectors


@pytest.fixture(scope="module")
def expected() -> NDArray[np.float32]:
    return reference(bundled_model_folder(), _SPEAKABLE)


@pytest.mark.parametrize(
    ("precision", "flags", "least"),
    [("fp32", "", 0.99999), ("bf16", "", 0.999), ("int8", "", 0.98), ("int8", "amx_bf16", 0.999)],
)
def test_vectors_are_those_of_sentence_transformers(
    precision: Precision, flags: str, least: float, expected: NDArray[np.float32], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("rag.embed.compiled.processor_facts", lambda: flags)
    engine = open_embedder("sentence-transformers/all-MiniLM-L6-v2", precision, tmp_path, "cpu")
    cosine = (engine.embed(VARIED) * expected).sum(axis=1)
    assert engine.fallback_reason is None
    assert cosine.min() >= least, VARIED[int(cosine.argmin())][:40]
    # the looser arithmetic is used only where it is the faster one
    assert (cosine.min() < 0.999) == (precision == "int8" and not flags)


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
@pytest.mark.parametrize("model_type", ["bert", "roberta"])
def test_other_poolings_and_architectures_agree_too(
    pooling: str, model_type: str, tmp_path: Path
) -> None:
    folder = write_model(tmp_path / "model", pooling=pooling, model_type=model_type)
    texts = ["wind", "a b c d e", "gauge wind", "z " * 40, "unknown words only", ""]
    engine = open_embedder(str(folder), "fp32", tmp_path / "cache", "cpu")
    expected = reference(folder, texts)
    cosine = (engine.embed(texts) * expected).sum(axis=1)
    alone = [
        vector @ engine.embed_query(text) for text, vector in zip(texts, expected, strict=True)
    ]
    assert engine.engine == "openvino"
    assert min(cosine.min(), *alone) > 0.9999


def test_queries_and_documents_get_the_prompts_of_the_model(tmp_path: Path) -> None:
    prompts = {"query": "a b ", "document": "c d "}
    folder = write_model(tmp_path / "model", prompts=prompts)
    engine = open_embedder(str(folder), "fp32", tmp_path / "cache", "cpu")
    for found, name in (
        (engine.embed_query("wind"), "query"),
        (engine.embed(["wind"])[0], "document"),
    ):
        assert found @ reference(folder, ["wind"], prompt_name=name)[0] > 0.9999
    assert engine.embed_query("wind") @ engine.embed(["wind"])[0] < 0.999
