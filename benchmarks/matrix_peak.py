"""The machine's best rate of matrix products of the model's shape, in GFLOP per processor second:
what no engine for this model can pass. The better of torch and OpenVINO, and the best of many short
tries. Per processor second, since other work on the machine takes wall time from all alike."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

_SHAPES = ((384, 1536), (1536, 384)) * 4  # a chain: nothing but its small ends leaves the cache
_ROWS = 256
_FLOP = sum(2 * _ROWS * inner * outer for inner, outer in _SHAPES)
_TRIES = 80


def peak(precision: str) -> float:
    """For `fp32`, `bf16` or `int8`."""
    rates = [_best(_openvino(precision))]
    if precision != "int8":  # torch has no product that quantises its input as it comes
        rates.append(_best(_torch(precision)))
    return max(rates)


def _best(products: Callable[[], object]) -> float:
    products()
    best = float("inf")
    for _ in range(_TRIES):
        started = time.process_time()
        products()
        best = min(best, time.process_time() - started)
    return _FLOP / best / 1e9


def _torch(precision: str) -> Callable[[], object]:
    import torch

    dtype = torch.float32 if precision == "fp32" else torch.bfloat16
    weights = [torch.ones(outer, inner, dtype=dtype) for inner, outer in _SHAPES]

    def products() -> object:
        rows = torch.ones(_ROWS, _SHAPES[0][0], dtype=dtype)
        for weight in weights:
            rows = torch.nn.functional.linear(rows, weight)
        return rows

    return products


def _openvino(precision: str) -> Callable[[], object]:
    import openvino as ov
    from openvino import opset13 as ops

    from rag.embed.compiled import runtime_settings
    from rag.embed.quantization import quantize

    rows = states = ops.parameter([_ROWS, _SHAPES[0][0]], np.float32)
    source = np.random.default_rng(1)
    for inner, outer in _SHAPES:
        weight = ops.constant(source.normal(size=(outer, inner)).astype(np.float32))
        states = ops.matmul(states, weight, False, True)
    graph = ov.Model([states], [rows], "products")
    if precision == "int8":
        quantize(graph)
    settings = runtime_settings(precision, _SHAPES[0][0], streams=1)
    request = ov.Core().compile_model(graph, "CPU", settings).create_infer_request()
    given = {0: np.ones((_ROWS, _SHAPES[0][0]), np.float32)}
    return lambda: request.infer(given)
