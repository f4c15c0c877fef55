"""The converted model, cached by digest: converted once per machine, then read in milliseconds."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rag.embed.filelock import locked
from rag.embed.graph import GRAPH_VERSION, draw_encoder, drawn_here
from rag.embed.pretrained import PretrainedModel
from rag.embed.quantization import quantize
from rag.fingerprint import digest

_LOG = logging.getLogger(__name__)
_CONVERT_TIMEOUT_S = 900.0
_GRAPH = "model.xml"


def converted(
    model: PretrainedModel, precision: str, cache: Path, progress: Callable[[str], None]
) -> Path:
    """The model's OpenVINO graph in `cache`, converted first when it is not there yet.

    Raises whatever the conversion raises; `rag.embed.engine` then falls back to torch."""
    folder = cache / "openvino" / _key(model, precision)
    if (folder / _GRAPH).is_file():
        return folder / _GRAPH
    with locked(folder.with_suffix(".lock"), _CONVERT_TIMEOUT_S):
        if not (folder / _GRAPH).is_file():
            progress(f"converting {model.name} for this machine's processor (once)")
            _convert(model, precision, folder)
            progress(f"converted {model.name}")
    return folder / _GRAPH


def _key(model: PretrainedModel, precision: str) -> str:
    from importlib.metadata import version

    # bf16 is how the runtime computes; its graph is that of fp32
    weights = "int8" if precision == "int8" else "float"
    parts = [model.weights, model.pooling, weights, str(GRAPH_VERSION), version("openvino")]
    return digest(parts).hex()[:32]


def _convert(model: PretrainedModel, precision: str, folder: Path) -> None:
    import openvino as ov

    graph = _graph(model)
    if precision == "int8":
        _LOG.info("weights_quantized products=%d", quantize(graph))
    work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".converting-"))
    try:
        ov.save_model(graph, work / _GRAPH, compress_to_fp16=False)
        work.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _graph(model: PretrainedModel) -> Any:
    if drawn_here(model.folder):
        return draw_encoder(model.folder, model.pooling)
    from rag.embed.traced import trace_encoder

    return trace_encoder(model.folder, model.pooling)
