from __future__ import annotations

import pytest

from rag.embed.tokenizer import ModelTokenizer, bundled_model_folder


@pytest.fixture(scope="session")
def tokenizer() -> ModelTokenizer:
    return ModelTokenizer(bundled_model_folder())
