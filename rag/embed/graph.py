"""Compute graphs for OpenVINO: a BERT-like encoder built straight from its weights, and pooling.

Built without torch, so that the first run converts a model in a second or two. Architectures that
are not drawn here go through `rag.embed.traced`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

# raise it when a change here makes another graph: it is part of the cache's key
GRAPH_VERSION = 1
_ARCHITECTURES = {"bert": "bert.", "roberta": "roberta.", "xlm-roberta": "roberta."}
_ACTIVATIONS = {"gelu": "erf", "gelu_new": "tanh", "gelu_pytorch_tanh": "tanh"}
_MASKED = np.float32(-1e9)

# a node or an output of a graph; OpenVINO's own types are not visible to the type checker
Node = Any


def drawn_here(folder: Path) -> bool:
    """Whether `draw_encoder` knows this model's architecture and the format of its weights."""
    config = json.loads((folder / "config.json").read_bytes())
    return (
        config.get("model_type") in _ARCHITECTURES
        and config.get("hidden_act") in _ACTIVATIONS
        and config.get("position_embedding_type", "absolute") == "absolute"
        and not config.get("is_decoder", False)
        and (folder / "model.safetensors").is_file()
        and _is_float(folder / "model.safetensors")
    )


def _is_float(file: Path) -> bool:
    from safetensors import safe_open

    with safe_open(file, framework="numpy") as tensors:
        return all(tensors.get_slice(key).get_dtype() != "BF16" for key in tensors.keys())  # noqa: SIM118


def draw_encoder(folder: Path, pooling: str) -> Node:
    """The model in `folder` from token ids and mask to one pooled vector per row, in float32."""
    import openvino as ov
    from openvino import opset13 as ops

    drawing = _Drawing(folder)
    ids, mask = _parameter("input_ids"), _parameter("attention_mask")
    weight = ops.convert(mask, "f32")
    states = drawing.embeddings(ids)
    bias = _attention_bias(weight)
    for layer in range(drawing.layers):
        states = drawing.layer(states, bias, f"encoder.layer.{layer}.")
    return ov.Model([pool(states, weight, pooling)], [ids, mask], "encoder")


def pool(states: Node, weight: Node, pooling: str) -> Node:
    """One vector per row out of token states; `weight` is 1 on tokens and 0 on padding."""
    from openvino import opset13 as ops

    if pooling == "cls":
        return ops.gather(states, _constant(np.int64(0)), _constant(np.int64(1)))
    column, rows = ops.unsqueeze(weight, _constant(np.int64(2))), _constant(np.array([1], np.int64))
    if pooling == "max":
        hidden = ops.multiply(ops.subtract(_constant(np.float32(1)), column), _constant(_MASKED))
        return ops.reduce_max(ops.add(states, hidden), rows, False)
    total = ops.reduce_sum(ops.multiply(states, column), rows, False)
    return ops.divide(total, ops.reduce_sum(column, rows, False))


def _parameter(name: str) -> Node:
    from openvino import opset13 as ops

    node = ops.parameter([-1, -1], np.int64, name=name)
    node.output(0).get_tensor().set_names({name})
    return node


def _constant(value: Any) -> Node:
    from openvino import opset13 as ops

    return ops.constant(np.asarray(value, order="C"))


def _attention_bias(weight: Node) -> Node:
    from openvino import opset13 as ops

    padding = ops.subtract(_constant(np.float32(1)), weight)
    axes = _constant(np.array([1, 2], np.int64))
    return ops.unsqueeze(ops.multiply(padding, _constant(_MASKED)), axes)


@dataclass(slots=True, init=False)
class _Drawing:
    """The parts of one encoder, over its weights and its config."""

    layers: int
    _weights: dict[str, Any]
    _heads: int
    _width: int
    _epsilon: float
    _activation: str
    _first_position: int

    def __init__(self, folder: Path) -> None:
        from safetensors.numpy import load_file

        config = json.loads((folder / "config.json").read_bytes())
        prefix = _ARCHITECTURES[config["model_type"]]
        weights = load_file(folder / "model.safetensors")
        self._weights = {key.removeprefix(prefix): value for key, value in weights.items()}
        self.layers = config["num_hidden_layers"]
        self._heads, self._width = config["num_attention_heads"], config["hidden_size"]
        self._epsilon = float(config["layer_norm_eps"])
        self._activation = _ACTIVATIONS[config["hidden_act"]]
        # RoBERTa counts positions from the one after the padding token's id
        self._first_position = 0 if prefix == "bert." else int(config["pad_token_id"]) + 1

    def embeddings(self, ids: Node) -> Node:
        from openvino import opset13 as ops

        words = ops.gather(self._weight("embeddings.word_embeddings.weight"), ids, _zero())
        table = self._array("embeddings.position_embeddings.weight")[self._first_position :]
        table = table + self._array("embeddings.token_type_embeddings.weight")[0]
        length = ops.gather(ops.shape_of(ids), _constant(np.array([1], np.int64)), _zero())
        first, one = _constant(np.array([0], np.int64)), _constant(np.array([1], np.int64))
        positions = ops.slice(_constant(table), first, length, one, first)
        states = ops.add(words, ops.unsqueeze(positions, _zero()))
        return self._norm(states, "embeddings.LayerNorm")

    def layer(self, states: Node, bias: Node, prefix: str) -> Node:
        from openvino import opset13 as ops

        context = self._linear(
            self._attention(states, bias, prefix + "attention.self."),
            prefix + "attention.output.dense",
        )
        states = self._norm(ops.add(context, states), prefix + "attention.output.LayerNorm")
        inner = self._linear(states, prefix + "intermediate.dense")
        inner = ops.gelu(inner, self._activation)
        inner = self._linear(inner, prefix + "output.dense")
        return self._norm(ops.add(inner, states), prefix + "output.LayerNorm")

    def _attention(self, states: Node, bias: Node, prefix: str) -> Node:
        from openvino import opset13 as ops

        query, key, value = (
            self._split(self._linear(states, prefix + part)) for part in ("query", "key", "value")
        )
        context = ops.scaled_dot_product_attention(query, key, value, bias)
        swapped = ops.transpose(context, _constant(np.array([0, 2, 1, 3], np.int64)))
        return ops.reshape(swapped, _constant(np.array([0, 0, self._width], np.int64)), True)

    def _split(self, states: Node) -> Node:
        from openvino import opset13 as ops

        shape = np.array([0, 0, self._heads, self._width // self._heads], np.int64)
        heads = ops.reshape(states, _constant(shape), True)
        return ops.transpose(heads, _constant(np.array([0, 2, 1, 3], np.int64)))

    def _linear(self, states: Node, name: str) -> Node:
        from openvino import opset13 as ops

        product = ops.matmul(states, self._weight(name + ".weight"), False, True)
        return ops.add(product, self._weight(name + ".bias"))

    def _norm(self, states: Node, name: str) -> Node:
        from openvino import opset13 as ops

        last = _constant(np.array([-1], np.int64))
        centred = ops.mvn(states, last, True, self._epsilon, "INSIDE_SQRT")
        scaled = ops.multiply(centred, self._weight(name + ".weight"))
        return ops.add(scaled, self._weight(name + ".bias"))

    def _array(self, name: str) -> Any:
        return self._weights[name].astype(np.float32, copy=False)

    def _weight(self, name: str) -> Node:
        return _constant(self._array(name))


def _zero() -> Node:
    return _constant(np.int64(0))
