"""Graphs of encoders that `rag.embed.graph` does not draw: OpenVINO traces the torch module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rag.embed.graph import pool


def trace_encoder(folder: Path, pooling: str) -> Any:
    """The model in `folder` from ids and mask to one pooled vector per row, by way of torch.

    Raises whatever torch, transformers or OpenVINO raise on an architecture they can not trace."""
    import openvino as ov
    import torch
    from openvino import opset13 as ops
    from transformers import AutoModel

    encoder = AutoModel.from_pretrained(
        folder, local_files_only=True, dtype=torch.float32, attn_implementation="sdpa"
    ).eval()
    example = {
        "input_ids": torch.tensor([[5, 6, 7, 8], [5, 6, 7, 8]]),
        "attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]]),
    }
    with torch.no_grad():
        traced = ov.convert_model(_states_of(encoder), example_input=example)
    traced.reshape({name: [-1, -1] for name in example})
    mask = traced.input("attention_mask").get_node()
    states = traced.output(0).get_node().input_value(0)
    vectors = pool(states, ops.convert(mask, "f32"), pooling)
    parameters = [traced.input(name).get_node() for name in example]
    return ov.Model([vectors], parameters, "encoder")


def _states_of(encoder: Any) -> Any:
    import torch

    class States(torch.nn.Module):  # type: ignore[misc, unused-ignore]
        """Only the token states, as a plain tensor: traces can not hold transformers' outputs."""

        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            found = self.encoder(input_ids=input_ids, attention_mask=attention_mask)
            return found.last_hidden_state

    return States()
