"""The embedding model's own tokenizer, without the model: counts and places tokens.

Needs the folder's tokenizer.json only, or what it can be made of; the weights never load from here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from rag.embed.pretrained import main_folder, window_of
from rag.errors import ConfigurationError

_FEW = 4  # up to here a loop beats waking the thread pool of a batch
# what transformers makes a tokenizer of
_OLDER_FORMS = ("vocab.txt", "vocab.json", "sentencepiece.bpe.model", "spiece.model")
_SURROGATES = re.compile("[\ud800-\udfff]")


class ModelTokenizer:
    """A `ports.Tokenizer` that sees text exactly as the model in `folder` does.

    `config` holds the digest of tokenizer.json and the window. Raises ConfigurationError (code
    `model_missing` or `model_unreadable`)."""

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        main = main_folder(folder)
        definition = _definition(main)
        self.max_tokens = window_of(main)
        self.config: dict[str, object] = {
            "tokenizer": hashlib.sha256(definition).hexdigest(),
            "max_tokens": self.max_tokens,
        }
        try:
            self._tokenizer = Tokenizer.from_str(definition.decode("utf-8"))
        except Exception as error:  # the library raises bare Exception on a bad definition
            raise _unreadable(main / "tokenizer.json") from error
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


def _definition(folder: Path) -> bytes:
    """tokenizer.json, or what it would say of a tokenizer that is kept in an older form."""
    try:
        return (folder / "tokenizer.json").read_bytes()
    except OSError as error:
        if not any((folder / name).is_file() for name in _OLDER_FORMS):
            raise ConfigurationError(
                f"'{folder}' holds no tokenizer: name a sentence-transformers model folder.",
                code="model_missing",
            ) from error
    from transformers import AutoTokenizer

    try:
        found = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        return str(found.backend_tokenizer.to_str()).encode()
    except (OSError, ValueError, TypeError, KeyError, ImportError, AttributeError) as error:
        raise _unreadable(folder) from error


def _unreadable(path: Path) -> ConfigurationError:
    return ConfigurationError(
        f"'{path}' is damaged or of an unknown form: restore the model folder.",
        code="model_unreadable",
    )
