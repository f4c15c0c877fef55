"""What counts as a word."""

from __future__ import annotations

import pytest

from rag.words import words_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Haul Rope.", ["the", "haul", "rope"]),
        ("see LW-2024/117.", ["see", "lw-2024/117", "lw", "2024", "117"]),
        ("(ERR_0x80)", ["err_0x80", "err", "0x80"]),
        ("mail ops@peak.example!", ["mail", "ops@peak.example", "ops", "peak", "example"]),
        ("v1.2.3", ["v1.2.3", "v1", "2", "3"]),
        ("state-of-the-art", ["state-of-the-art", "state", "of", "the", "art"]),
        ("Straße ÜBER", ["straße", "über"]),
        ("\uff21\uff22", ["ab"]),  # full-width letters
        ("索道検査", ["索道", "道検", "検査"]),
        ("?! --", []),
        ("", []),
    ],
)
def test_words_are_parts_and_joined_tokens(text: str, expected: list[str]) -> None:
    assert words_of(text) == expected


def test_no_word_is_longer_than_an_index_may_hold() -> None:
    words = words_of("x" * 5000 + " " + "-".join(["ab"] * 3000) + " " + "é" * 5000)

    assert words and max(len(word.encode()) for word in words) <= 500
