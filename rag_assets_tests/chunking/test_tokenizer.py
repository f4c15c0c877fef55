from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rag.embed.tokenizer import ModelTokenizer, bundled_model_folder
from rag.errors import ConfigurationError


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


@pytest.mark.parametrize("window", ["{", "{}", '{"max_seq_length": null}'])
def test_a_damaged_window_is_refused(tmp_path: Path, window: str) -> None:
    definition = (bundled_model_folder() / "tokenizer.json").read_bytes()
    (tmp_path / "tokenizer.json").write_bytes(definition)
    (tmp_path / "sentence_bert_config.json").write_text(window)
    with pytest.raises(ConfigurationError) as caught:
        ModelTokenizer(tmp_path)
    assert caught.value.code == "model_unreadable"


def test_a_damaged_definition_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "sentence_bert_config.json").write_text('{"max_seq_length": 256}')
    with pytest.raises(ConfigurationError) as caught:
        ModelTokenizer(tmp_path)
    assert caught.value.code == "model_unreadable"


def test_the_tokenizer_never_loads_torch() -> None:
    code = (
        "import sys; from rag.embed.tokenizer import *; "
        "ModelTokenizer(bundled_model_folder()).count(['x']); "
        "assert not {'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
