"""How texts become batches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.embed.batches import BATCH_ROWS, BATCH_TOKENS, padded, plan, unique

lengths = st.lists(st.integers(1, 512), max_size=300)


@given(lengths)
def test_every_text_is_in_exactly_one_batch(lengths: list[int]) -> None:
    assert sorted(place for group in plan(lengths) for place in group) == list(range(len(lengths)))


@given(lengths)
def test_a_batch_holds_a_bounded_number_of_padded_tokens(lengths: list[int]) -> None:
    for group in plan(lengths):
        longest = max(lengths[place] for place in group)
        assert len(group) == 1 or longest * len(group) <= BATCH_TOKENS
        assert len(group) <= BATCH_ROWS


@given(lengths)
def test_longest_texts_go_first_so_that_padding_is_least(lengths: list[int]) -> None:
    order = [lengths[place] for group in plan(lengths) for place in group]
    assert order == sorted(lengths, reverse=True)


@given(st.lists(st.sampled_from("abc")))
def test_each_text_is_computed_once_and_found_again(texts: list[str]) -> None:
    distinct, inverse = unique(texts)
    assert len(distinct) == len(set(texts))
    assert [distinct[place] for place in inverse] == texts


def test_padding_is_only_up_to_the_longest_row_and_masked() -> None:
    ids, mask = padded([[5, 6, 7], [8]], padding=1, window=64)
    np.testing.assert_array_equal(ids, [[5, 6, 7], [8, 1, 1]])
    np.testing.assert_array_equal(mask, [[1, 1, 1], [1, 0, 0]])


@pytest.mark.parametrize(
    ("tokens", "window", "width"), [(1, 64, 16), (16, 64, 16), (17, 64, 32), (17, 20, 20)]
)
def test_a_row_alone_is_filled_up_to_few_lengths_within_the_window(
    tokens: int, window: int, width: int
) -> None:
    ids, mask = padded([[5] * tokens], padding=1, window=window)
    assert ids.shape == mask.shape == (1, width)
    assert ids.sum() == 5 * tokens + width - tokens
    assert mask.sum() == tokens
