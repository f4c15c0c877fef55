"""An answer without a model: the sentences of the passages that say most of what was asked.

Pure and deterministic, in any language: words weigh by how rarely the passages use them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from math import log, sqrt
from typing import NamedTuple

from rag.answer.citations import without_numbers_in_brackets
from rag.answer.passage import Passage
from rag.chunking.borders import sentences
from rag.summary import summarise

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+")
_RULE_OF_TABLE = re.compile(r"\|[\s:|-]+\|?")
_MOST_SENTENCES = 3
_LONGEST = 400
_STEM = 6  # letters that two forms of a word share
_LENGTH_SOFTENER = 8
_WORTH_KEEPING = 0.5  # of the best sentence's score


class _Candidate(NamedTuple):
    number: int
    place: int
    text: str
    words: frozenset[str]


def extract(question: str, passages: Sequence[Passage]) -> str:
    """Up to three sentences, each with its citation, in the order of the passages."""
    candidates = list(_candidates(passages))
    if not candidates:
        return ""
    scored = _scored(_stems(question), candidates)
    best = max((score for score, _ in scored), default=0.0)
    if best <= 0:  # no word in common: what the first passage is about
        summary = summarise(without_numbers_in_brackets(passages[0].hit.text), 2)
        return f"{summary} [{passages[0].number}]"
    chosen = [each for score, each in scored if score >= _WORTH_KEEPING * best][:_MOST_SENTENCES]
    chosen.sort(key=lambda each: (each.number, each.place))
    return " ".join(f"{each.text} [{each.number}]" for each in chosen)


def _scored(
    wanted: frozenset[str], candidates: Sequence[_Candidate]
) -> list[tuple[float, _Candidate]]:
    """Candidates by weight of the question's words in them, best first; no text twice."""
    spread = Counter(word for each in candidates for word in each.words)
    weights = {word: log(1 + len(candidates) / spread[word]) for word in wanted if spread[word]}
    scored = [(_score(each, weights), each) for each in candidates]
    scored.sort(key=lambda pair: (-pair[0], pair[1].number, pair[1].place))
    seen: dict[str, tuple[float, _Candidate]] = {}
    for pair in scored:
        seen.setdefault(pair[1].text, pair)
    return list(seen.values())


def _score(candidate: _Candidate, weights: dict[str, float]) -> float:
    found = sorted(candidate.words & weights.keys())
    length = len(candidate.words) + _LENGTH_SOFTENER
    return sum(weights[word] for word in found) * len(found) / sqrt(length)


def _candidates(passages: Sequence[Passage]) -> Iterator[_Candidate]:
    for passage in passages:
        for place, text in enumerate(_lines(without_numbers_in_brackets(passage.hit.text))):
            yield _Candidate(passage.number, place, _shortened(text), _stems(text))


def _lines(text: str) -> Iterator[str]:
    """Sentences, and rows of tables."""
    for part in text.split("\n\n"):
        if part.lstrip().startswith("|"):
            rows = (line.strip() for line in part.splitlines())
            yield from (row for row in rows if row and not _RULE_OF_TABLE.fullmatch(row))
        else:
            yield from sentences(part)


def _stems(text: str) -> frozenset[str]:
    return frozenset(word[:_STEM] for word in _WORD.findall(text.casefold()))


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST].rsplit(" ", 1)[0] + "..."
