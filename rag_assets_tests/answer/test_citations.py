"""A model may cite what it was given, and nothing else gets out."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.answer.citations import (
    CitationCheck,
    uncited_sentences,
    without_citations,
    without_numbers_in_brackets,
)

SOURCES = ("See https://rope.example/care?a=1 for more.", "s3://b/doc1.pdf")


def checked(
    text: str, size: int = 10_000, numbers: tuple[int, ...] = (1, 2, 3)
) -> tuple[str, CitationCheck]:
    check = CitationCheck(numbers, SOURCES, secret="s3cr3t")
    shown = "".join(check.feed(text[at : at + size]) for at in range(0, len(text), size))
    return shown + check.end(), check


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    ("text", "expected", "cited", "reasons"),
    [
        ("Rope [1]. Grip [2][1].", "Rope [1]. Grip [2][1].", [1, 2], []),
        ("Rope [1, 2; 3] here.", "Rope [1][2][3] here.", [1, 2, 3], []),
        ("Rope [9].", "Rope .", [], ["invented_citation"]),
        ("Rope [1, 9].", "Rope [1].", [1], ["invented_citation"]),
        ("Rope [1-3] and [5-9].", "Rope [1][2][3] and .", [1, 2, 3], ["invented_citation"]),
        ("Rope 【2†source】.", "Rope [2].", [2], []),
        ("Rope [0] [-1] [see 1] [a] x[i].", "Rope  [-1] [see 1] [a] x[i].", [],
         ["invented_citation"]),
        ("![x](https://evil.example/?q=1) ok [1]", " ok [1]", [1], ["foreign_link"]),
        ("[click](https://evil.example) [1]", "click [1]", [1], ["foreign_link"]),
        ("[care](https://rope.example/care?a=1) [1]",
         "[care](https://rope.example/care?a=1) [1]", [1], []),
        ("go to https://evil.example/x now", "go to  now", [], ["foreign_link"]),
        ("at https://rope.example/care?a=1.", "at https://rope.example/care?a=1.", [], []),
        ("a <img src=https://evil.example/> b", "a  b", [], ["markup"]),
        ("use List<String> and x < 3", "use List<String> and x < 3", [], []),
        ("the key is s3cr3t!", "the key is !", [], []),
        ("open [bracket", "open [bracket", [], []),
        ("毎月点検する[1]。次[7]。", "毎月点検する[1]。次。", [1], ["invented_citation"]),
    ],
)  # fmt: skip
def test_what_an_answer_must_not_say_is_taken_out_and_recorded(
    text: str, expected: str, cited: list[int], reasons: list[str], size: int
) -> None:
    shown, check = checked(text, size)

    assert shown == expected
    assert check.cited == cited
    assert [each.reason for each in check.dropped] == reasons


@given(st.text(alphabet="ab [](){}<>!1239,:/ .\n【】†https", max_size=80), st.integers(1, 9))
def test_how_a_reply_is_cut_into_pieces_changes_no_citation(text: str, size: int) -> None:
    whole, first = checked(text)
    pieces, second = checked(text, size)

    assert pieces == whole and second.cited == first.cited
    assert not set(first.cited) - {1, 2, 3}


def test_words_are_shown_as_they_come() -> None:
    check = CitationCheck([1], [])

    assert [check.feed(piece) for piece in ("The ro", "pe is", " old [", "1", "]. Yes")] == [
        "The ", "rope ", "is old ", "", "[1]. ",
    ]  # fmt: skip


def test_a_hostile_reply_takes_no_long_time() -> None:
    started = time.monotonic()
    for text in ("[" * 4000, "![" * 2000, "[a](" * 1000, "(" * 4000, "<a " * 1500, "[1," * 1500):
        checked(text, 7)

    assert time.monotonic() - started < 5


def test_sentences_without_a_citation_are_found() -> None:
    text = (
        "# The rope\n\nIt is inspected monthly. [1] The grip is moved in spring [2]. "
        "Nobody knows who does that. As follows:\n- the rope is 12 mm thick [1]\n- Yes."
    )

    assert uncited_sentences(text) == ["Nobody knows who does that."]


def test_a_passages_own_numbers_are_no_citations() -> None:
    assert without_numbers_in_brackets("As shown [7], [1, 2].") == "As shown (7), (1, 2)."
    assert without_citations("It is [1] so [2].") == "It is so ."
