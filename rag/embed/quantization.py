"""Eight-bit weights: every large matrix product of a graph gets int8 weights, one scale per row.

The runtime then also quantises the products' inputs as they come, in groups, so no calibration
texts are needed and the loss does not depend on them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_SMALLEST = 128 * 128


def quantize(model: Any) -> int:
    """Replace the constant weights of matrix products in place; how many were replaced."""
    products = [node for node in model.get_ordered_ops() if node.get_type_name() == "MatMul"]
    return sum(_replace(product) for product in products)


def rounded(weights: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """int8 rows and the scale of each row, so that rows * scale is nearest to `weights`."""
    largest = np.abs(weights).max(axis=1, keepdims=True)
    steps = (largest / 127).astype(np.float32)
    # rows of zeros, and steps too small to divide by, become rows of zeros
    scale = np.where(steps >= np.finfo(np.float32).tiny, steps, np.float32(1))
    return np.clip(np.rint(weights / scale), -127, 127).astype(np.int8), scale


def _replace(product: Any) -> bool:
    from openvino import opset13 as ops

    weights = _constant_weights(product.input_value(1).get_node())
    is_row_major = product.get_attributes().get("transpose_b", False)
    if weights is None or not is_row_major or weights.size < _SMALLEST:
        return False
    rows, scale = rounded(weights)
    small = ops.multiply(ops.convert(ops.constant(rows), "f32"), ops.constant(scale))
    product.input(1).replace_source_output(small.output(0))
    return True


def _constant_weights(node: Any) -> NDArray[np.float32] | None:
    if node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    if node.get_type_name() != "Constant" or node.get_output_partial_shape(0).rank != 2:
        return None
    return np.asarray(node.data, np.float32)
