from __future__ import annotations

import pytest

from rag.embed.pretrained import bundled_model_folder
from rag.embed.tokenizer import ModelTokenizer


@pytest.fixture(scope="session")
def tokenizer() -> ModelTokenizer:
    return ModelTokenizer(bundled_model_folder())
