"""The reranker: a real cross-encoder of a tiny size, and what happens when it fails."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from rag.errors import ConfigurationError, RagError, UnavailableError
from rag.rerank import CrossEncoderReranker, open_reranker
from rag_assets_tests.ingest.harness import Harness

pytestmark = pytest.mark.slow


class LongestFirst:
    """Likes long texts; keeps what it was shown."""

    name = "longest"

    def __init__(self, error: RagError | None = None) -> None:
        self.error = error
        self.shown: list[str] = []

    def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        if self.error:
            raise self.error
        self.shown = list(texts)
        return [float(len(text)) for text in texts]


@pytest.fixture
def filled(harness: Harness) -> Harness:
    for number in range(12):
        harness.source.put(f"{number}.txt", b"rope " * (12 - number) + b"and more " * number)
    harness.run()
    return harness


def test_it_reads_the_fused_list_and_decides_the_order(filled: Harness) -> None:
    reranker = LongestFirst()
    plain = filled.search("rope", k=3)

    found = filled.search("rope", k=3, reranker=reranker)

    assert len(reranker.shown) == 12
    lengths = [len(hit.text) for hit in found.hits]
    assert lengths == sorted(map(len, reranker.shown), reverse=True)[:3]
    assert [hit.ranks["reranker"] for hit in found.hits] == [1, 2, 3]
    assert found.hits[0].score == lengths[0]
    assert [hit.uri for hit in found.hits] != [hit.uri for hit in plain.hits]


def test_a_failing_reranker_is_an_error_not_another_order(filled: Harness) -> None:
    reranker = LongestFirst(UnavailableError("It fails.", code="reranker_failed"))

    with pytest.raises(UnavailableError) as caught:
        filled.search("rope", reranker=reranker)
    assert caught.value.code == "reranker_failed"


def test_no_model_no_reranker() -> None:
    assert open_reranker(None) is None


@pytest.mark.slow
def test_a_folder_that_holds_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        CrossEncoderReranker(str(tmp_path)).rerank("a", ["b"])
    assert caught.value.code == "bad_reranker"


def tiny_model(folder: Path, labels: int = 1) -> Path:
    """A cross-encoder with random weights, made without any download. They are drawn wide from a
    fixed seed: with the usual narrow ones two texts may come out equal."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "rope", "pump", "oil", "wind"]
    plain = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, "[UNK]"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=plain, **names).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=64, num_labels=labels,
        initializer_range=0.5,
    )  # fmt: skip
    torch.manual_seed(2026)
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_cross_encoder_gives_a_score_per_text_that_depends_on_both(tmp_path: Path) -> None:
    reranker = CrossEncoderReranker(str(tiny_model(tmp_path / "model")))

    first = reranker.rerank("rope", ["rope pump", "oil wind", "rope pump"])
    second = reranker.rerank("oil", ["rope pump"])

    assert len(first) == 3 and first[0] == pytest.approx(first[2], abs=1e-5)
    assert abs(first[0] - first[1]) > 0.01 and abs(first[0] - second[0]) > 0.01
    assert reranker.rerank("rope", []) == []
