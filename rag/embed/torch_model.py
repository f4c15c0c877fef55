"""The torch runtime, through sentence-transformers: graphics cards, and what OpenVINO lacks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.embed.batches import Batch
from rag.errors import ConfigurationError


class TorchModel:
    """Sentence vectors of padded batches, in order."""

    name = "torch"

    def __init__(self, folder: Path, precision: str, device: str) -> None:
        import torch
        from sentence_transformers import SentenceTransformer

        self._device = device
        # on a processor, bf16 is autocast: the weights stay as they are
        self._autocast = precision != "fp32" and device == "cpu"
        dtype = torch.bfloat16 if precision != "fp32" and device != "cpu" else torch.float32
        try:
            self._model: Any = SentenceTransformer(
                str(folder), device=device, local_files_only=True, model_kwargs={"dtype": dtype}
            )
        except (OSError, ValueError, ImportError, RuntimeError) as error:
            raise ConfigurationError(
                f"sentence-transformers can not load '{folder}': restore the model folder or "
                "name another model.",
                code="bad_model",
            ) from error
        self._model.eval()
        self.arithmetic = "f32" if precision == "fp32" else "bf16"

    @property
    def tokenizer(self) -> Any:
        """The model's tokenizer in the tokenizers library's own form."""
        return self._model.tokenizer.backend_tokenizer

    @property
    def dimension(self) -> int:
        return int(self._model.get_embedding_dimension())

    def run(self, batches: Iterable[Batch]) -> Iterator[NDArray[np.float32]]:
        """The vectors of each batch (ids, mask), in the order of the batches."""
        for ids, mask in batches:
            yield self._infer(ids, mask)

    def _infer(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        import torch

        features = {
            "input_ids": torch.from_numpy(ids).to(self._device),
            "attention_mask": torch.from_numpy(mask).to(self._device),
        }
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=self._autocast):
            vectors = self._model(features)["sentence_embedding"]
        found: NDArray[np.float32] = vectors.float().cpu().numpy()
        return found


def cuda_is_available() -> bool:
    """Whether torch sees a graphics card."""
    import torch

    return bool(torch.cuda.is_available())
