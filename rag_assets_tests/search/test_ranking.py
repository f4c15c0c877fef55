"""BM25 and fusion, against the plain formula."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rag.ranking import ENTRY, Bm25, Layout, Scored, Segment, Spans, fuse_by_rank, fuse_by_score

TEXTS = [["rope", "rope", "car"], ["rope", "pump"], ["pump", "pump", "pump", "car", "oil"]]


def postings(texts: list[list[str]], segment: int) -> dict[str, list[tuple[int, bytes]]]:
    words = {word for text in texts for word in text}
    return {
        word: [(segment, np.array(
            [(slot, text.count(word), len(text)) for slot, text in enumerate(texts)
             if word in text], ENTRY).tobytes())]
        for word in words
    }  # fmt: skip


def bm25(
    segments: list[Segment], found: dict[str, list[tuple[int, bytes]]],
    permitted: dict[int, Spans] | None = None,
) -> Bm25:  # fmt: skip
    layout = Layout(segments)
    return Bm25(layout, [layout.gains(parts) for parts in found.values()], permitted)


def expected(texts: list[list[str]], query: list[str], row: int) -> float:
    mean = sum(map(len, texts)) / len(texts)
    total = 0.0
    for word in query:
        holding = sum(word in text for text in texts)
        times = texts[row].count(word)
        idf = math.log(1 + (len(texts) - holding + 0.5) / (holding + 0.5))
        norm = 1.5 * (0.25 + 0.75 * len(texts[row]) / mean)
        total += idf * times * 2.5 / (times + norm)
    return total


def test_scores_are_those_of_the_formula() -> None:
    segment = Segment(7, 3, 3, sum(map(len, TEXTS)))
    found = bm25([segment], {w: postings(TEXTS, 7)[w] for w in ("rope", "oil")}).best(10)

    assert {item.place[1] for item in found} == {0, 1, 2}
    for item in found:
        assert item.score == pytest.approx(expected(TEXTS, ["rope", "oil"], item.place[1]))


def test_dead_rows_weigh_nothing_and_several_segments_are_one_index() -> None:
    dead = [["rope", "rope", "rope"]]
    first = Segment(1, 2, 1, len(TEXTS[0]), dead=((0, 1),))
    second = Segment(2, 2, 2, len(TEXTS[1]) + len(TEXTS[2]))
    parts = postings([*dead, TEXTS[0]], 1)["rope"] + postings(TEXTS[1:], 2)["rope"]

    found = bm25([first, second], {"rope": parts}).best(10)

    assert [item.place for item in found] == [(1, 1), (2, 0)]
    assert found[0].score == pytest.approx(expected(TEXTS, ["rope"], 0))


def test_what_is_not_permitted_is_not_found_and_still_counts() -> None:
    segment = Segment(7, 3, 3, sum(map(len, TEXTS)))
    (only,) = bm25([segment], {"rope": postings(TEXTS, 7)["rope"]}, {7: ((1, 2),)}).best(10)

    assert only.place == (7, 1)
    assert only.score == pytest.approx(expected(TEXTS, ["rope"], 1))


def test_fusion_by_score_counts_what_a_row_has_in_the_list_it_is_not_in() -> None:
    dense = [Scored((1, 0), 0.8), Scored((1, 1), 0.6)]
    words = [Scored((1, 2), 4.0)]
    known = {(1, 0): 0.8, (1, 1): 0.6, (1, 2): 0.4}

    by_words = {(1, 0): 0.0, (1, 1): 3.0, (1, 2): 4.0}

    found = fuse_by_score(
        {"dense": dense, "bm25": words},
        {"dense": known.__getitem__, "bm25": by_words.__getitem__},
    )

    assert [(place, round(score, 4)) for place, score, _ in found] == [
        ((1, 1), 0.75), ((1, 2), 0.75), ((1, 0), 0.5)
    ]  # fmt: skip
    assert found[1][2] == {"bm25": 1}


def test_fusion_by_rank_is_reciprocal() -> None:
    dense = [Scored((1, 0), 0.9), Scored((1, 1), 0.8)]
    words = [Scored((1, 1), 4.0)]

    found = fuse_by_rank({"dense": dense, "bm25": words})

    assert [(place, score) for place, score, _ in found] == [
        ((1, 1), pytest.approx(1 / 62 + 1 / 61)), ((1, 0), pytest.approx(1 / 61))
    ]  # fmt: skip


def test_nothing_in_common_with_the_question_is_an_empty_list() -> None:
    assert bm25([Segment(1, 3, 3, 10)], {}).best(5) == []
    assert bm25([], {}).best(5) == []
