"""Eight-bit weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from rag.embed.quantization import quantize, rounded

matrices = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 6), st.integers(1, 9)),
    elements=st.floats(-1000, 1000, width=32),
)


@pytest.mark.slow
@given(matrices)
def test_rounding_is_off_by_half_a_step_at_most(weights: np.ndarray) -> None:
    rows, scale = rounded(weights)
    assert (np.abs(rows * scale - weights) <= scale * 0.5 + 1e-3).all()


def test_rows_of_zeros_stay_zero() -> None:
    rows, scale = rounded(np.zeros((2, 4), np.float32))
    assert not rows.any()
    assert np.isfinite(scale).all()


@pytest.mark.slow
def test_every_large_matrix_product_of_the_bundled_model_is_quantized() -> None:
    from rag.embed.graph import draw_encoder
    from rag.embed.pretrained import bundled_model_folder

    graph = draw_encoder(Path(bundled_model_folder()), "mean")
    assert quantize(graph) == 36  # six layers of query, key, value, output and two feed-forward
