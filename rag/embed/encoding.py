"""Texts to token ids, cut at the model's window, many at a time on all cores."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rag.errors import ConfigurationError

_SURROGATES = re.compile("[\ud800-\udfff]")


class Encoder:
    """Token ids as the model wants them. The work runs outside Python's lock."""

    def __init__(self, tokenizer: Any, max_tokens: int, *, lowercase: bool) -> None:
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_tokens)
        self._tokenizer = tokenizer
        self._lowercase = lowercase
        self.window = max_tokens
        self.padding = _padding_id(tokenizer)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, special tokens included."""
        clean = [self._clean(text) for text in texts]
        if len(clean) == 1:  # a query: waking the thread pool would cost more than it brings
            return [self._tokenizer.encode(clean[0]).ids]
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(clean)]

    def _clean(self, text: str) -> str:
        # a lone surrogate has no UTF-8 form, and one bad character must not fail a document
        text = text if text.isascii() else _SURROGATES.sub("\ufffd", text)
        return text.lower() if self._lowercase else text


def load_encoder(folder: Path, max_tokens: int, *, lowercase: bool) -> Encoder | None:
    """The encoder of the model in `folder`, or None when it has no tokenizer.json.

    Raises ConfigurationError (`bad_model`)."""
    from tokenizers import Tokenizer

    file = folder / "tokenizer.json"
    if not file.is_file():
        return None
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises bare Exception on a bad definition
        raise ConfigurationError(
            f"'{file}' is damaged or of an unknown form: restore the model folder.",
            code="bad_model",
        ) from error
    return Encoder(tokenizer, max_tokens, lowercase=lowercase)


def _padding_id(tokenizer: Any) -> int:
    for token in ("[PAD]", "<pad>"):
        found = tokenizer.token_to_id(token)
        if found is not None:
            return int(found)
    return 0
