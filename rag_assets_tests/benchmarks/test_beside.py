"""Search beside others: what a peer's process answers, and that the rival written by hand finds
what it should."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from pgvector import HalfVector
from pgvector.psycopg import register_vector

from benchmarks.search.asking import DIMENSION, Task, answer
from benchmarks.search.beside import fresh, second_half
from benchmarks.search.contenders.by_hand import ALL_WORDS, ANY_WORD, hybrid_statement, load
from benchmarks.search.peers_page import OURS, others, page

TEXTS = ("snow on the north ridge", "wind at the top station", "snow and wind in the valley")


class Ten:
    """An index that finds so many passages for any question."""

    def __init__(self, hits: int = 10) -> None:
        self._hits = hits

    def hybrid(self, question: str) -> Sequence[object]:
        return [question] * self._hits

    def nearest(self, vector: list[float]) -> list[int]:
        return [int(vector[0])]


def test_a_time_comes_back_for_each_question() -> None:
    times = answer(Ten(), {"ask": ["a", "b"]})
    assert len(times) == 2
    assert all(time >= 0 for time in times)
    assert answer(Ten(), {"nearest": [[3.0], [4.0]]}) == [[3], [4]]


def test_callers_ask_until_the_time_is_over() -> None:
    request = {"crowd": ["a", "b", "c", "d"], "callers": 2, "seconds": 0.05}
    assert answer(Ten(), request) > 2 / 0.05


def test_an_answer_that_is_short_is_no_answer() -> None:
    with pytest.raises(RuntimeError, match="9 passages"):
        answer(Ten(9), {"ask": ["a"]})


def test_what_is_measured_was_not_asked_to_warm_up_and_never_comes_twice() -> None:
    questions = ["a", "b", "c", "d"]
    asked = list(itertools.islice(fresh(second_half(questions)), 6))
    assert asked == ["c", "d", "c 2", "d 2", "c 3", "d 3"]


def direction(at: int) -> list[float]:
    return [float(at == place) for place in range(DIMENSION)]


@pytest.fixture
def by_hand(empty_database: str, tmp_path: Path) -> psycopg.Connection[Any]:
    rows = [(f"{number}.txt", text) for number, text in enumerate(TEXTS)]
    (tmp_path / "passages.json").write_text(json.dumps(rows), encoding="utf-8")
    np.save(tmp_path / "vectors.npy", np.array([direction(n) for n in range(len(TEXTS))], "f4"))
    load(Task("load", empty_database, str(tmp_path), ""))
    conn = psycopg.connect(empty_database, autocommit=True)
    register_vector(conn)
    return conn


@pytest.mark.parametrize(
    ("query", "question", "first"),
    [
        (ALL_WORDS, "snow valley", [0, 2]),  # both lists know 0 or 2 alone, near it is 0
        (ALL_WORDS, "snow glacier", [0]),  # no passage has both words: vectors decide
        (ANY_WORD, "glacier winds", [1, 2]),  # in both lists, before what is near alone
    ],
)
def test_the_rival_by_hand_fuses_words_and_vectors(
    by_hand: psycopg.Connection[Any], query: str, question: str, first: list[int]
) -> None:
    with by_hand:
        given = {"vector": HalfVector(direction(0)), "question": question}
        found = by_hand.execute(hybrid_statement(query), given, binary=True).fetchall()
    assert sorted(row[0] for row in found) == [0, 1, 2]
    assert sorted(row[0] for row in found[: len(first)]) == first
    assert all(row[2] == TEXTS[row[0]] for row in found)


def figures(p50: float) -> dict[str, Any]:
    return {
        "title": f"of {p50}",
        "p50": p50,
        "p95": 2 * p50,
        "rounds": [{"p50": p50 * n, "p95": 2 * p50 * n} for n in (1, 5, 2)],
        "cpu_ms": {"process": 1.0, "postgres": 2.0},
        "per_second": 9.0,
        "recall_at_10": 0.98,
        "peak_mb": 300.0,
    }


def test_others_are_told_as_multiples_within_a_round_with_the_size() -> None:
    size = {
        "chunks": 20_000,
        "questions": 150,
        "rounds": 3,
        "with_all_words": 4,
        "machine": {"cores": 2, "load_average": 0.5},
        "contenders": {OURS: figures(10.0), "langchain": figures(30.0)},
    }
    assert others(size, "p95") == "in 20,000 chunks, without HTTP: of 30.0 3.0x"
    assert "| of 30.0 | 30.0 | 60.0 | 3.0 | 3.0 | 1.0 | 2.0 | 9 | 0.980 | 300 |" in page([size])
