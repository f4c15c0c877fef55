from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rag.embed.pretrained import bundled_model_folder
from rag.embed.tokenizer import ModelTokenizer
from rag.errors import ConfigurationError
from rag_assets_tests.embed.models import POSITIONS, write_model


def test_starts_and_counts_agree_in_every_script(tokenizer: ModelTokenizer) -> None:
    texts = [
        "Hello wörld.",
        "你好世界",
        "👨\u200d👩\u200d👧",
        "",
        "e\u0301te\u0301",
        "\ud800 lone",
        "[SEP] x",
    ]
    places = zip(texts, tokenizer.count(texts), tokenizer.starts(texts), strict=True)
    for text, count, starts in places:
        assert [starts] == tokenizer.starts([text])
        assert len(starts) == count
        assert all(0 <= start <= len(text) for start in starts)
        assert starts == sorted(starts)


def test_long_texts_are_neither_cut_nor_padded(tokenizer: ModelTokenizer) -> None:
    assert tokenizer.count(["word " * 1000, "word"]) == [1000, 1]
    assert tokenizer.max_tokens == 256


def test_a_folder_without_a_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ModelTokenizer(tmp_path)
    assert caught.value.code == "model_missing"


@pytest.mark.parametrize("window", ["{", "[]"])
def test_a_damaged_window_is_refused(tmp_path: Path, window: str) -> None:
    definition = (bundled_model_folder() / "tokenizer.json").read_bytes()
    (tmp_path / "tokenizer.json").write_bytes(definition)
    (tmp_path / "sentence_bert_config.json").write_text(window)
    with pytest.raises(ConfigurationError) as caught:
        ModelTokenizer(tmp_path)
    assert caught.value.code == "model_unreadable"


@pytest.mark.parametrize("window", [None, "{}", '{"max_seq_length": null}'])
def test_without_a_window_of_its_own_a_model_has_its_tokenizers(
    tmp_path: Path, window: str | None
) -> None:
    folder = write_model(tmp_path)
    (folder / "sentence_bert_config.json").unlink()
    if window is not None:
        (folder / "sentence_bert_config.json").write_text(window)
    assert ModelTokenizer(folder).max_tokens == POSITIONS
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 48}')
    assert ModelTokenizer(folder).max_tokens == 48


def test_a_transformer_in_a_folder_of_its_own_is_found(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "0_Transformer")
    modules = [{"path": "0_Transformer", "type": "sentence_transformers.models.Transformer"}]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    assert ModelTokenizer(tmp_path).config == ModelTokenizer(folder).config


@pytest.mark.slow
def test_a_tokenizer_kept_in_an_older_form_counts_alike(tmp_path: Path) -> None:
    bundled = bundled_model_folder()
    definition = json.loads((bundled / "tokenizer.json").read_bytes())
    words = sorted(definition["model"]["vocab"].items(), key=lambda item: item[1])
    (tmp_path / "vocab.txt").write_text("\n".join(word for word, _ in words), encoding="utf-8")
    (tmp_path / "config.json").write_text('{"model_type": "bert", "hidden_size": 384}')
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    texts = ["The haul rope of LW-7/1, inspected.", "naïve café 東京", ""]
    older, bundled_one = ModelTokenizer(tmp_path), ModelTokenizer(bundled)
    assert older.starts(texts) == bundled_one.starts(texts)
    assert older.count(texts) == bundled_one.count(texts)


def test_a_damaged_definition_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "sentence_bert_config.json").write_text('{"max_seq_length": 256}')
    with pytest.raises(ConfigurationError) as caught:
        ModelTokenizer(tmp_path)
    assert caught.value.code == "model_unreadable"


def test_the_tokenizer_never_loads_torch() -> None:
    code = (
        "import sys; from rag.embed.pretrained import bundled_model_folder; "
        "from rag.embed.tokenizer import ModelTokenizer; "
        "ModelTokenizer(bundled_model_folder()).count(['x']); "
        "assert not {'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
