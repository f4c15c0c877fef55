from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.cli.quote import as_line, excerpt

FILLER = "nothing of interest here " * 30


def test_the_stretch_with_the_questions_words_is_shown():
    text = FILLER + "the stop limit of Line B is 65 km/h " + FILLER

    shown = excerpt(text, "What is the stop limit?", 100)

    assert "stop limit of Line B is 65 km/h" in shown
    assert shown.startswith("… ")
    assert shown.endswith(" …")


def test_a_short_passage_is_shown_whole():
    assert excerpt("Two\n\nlines.", "anything", 100) == "Two lines."


def test_table_rules_are_left_out():
    assert as_line("| a | b |\n| --- | --- |\n| 1 | 2 |") == "a · b · 1 · 2"


@pytest.mark.slow
@given(st.text(), st.text(), st.integers(10, 200))
def test_an_excerpt_is_never_much_longer_than_its_limit(text, query, limit):
    longest_word = max(map(len, as_line(text).split(" ")))

    assert len(excerpt(text, query, limit)) <= max(limit, longest_word) + len("…  …")
