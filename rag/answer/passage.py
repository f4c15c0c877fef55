"""The passages an answer may rest on: found, numbered by rank, and near enough to the question."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rag.model import Hit

# a code, a number, a name with digits: what means the same wherever it stands
_IDENTIFIER = re.compile(r"(?=[^\s\d]*\d)(?=\S*[^\W\d_])[\w][\w.:/#-]+[\w]")


@dataclass(frozen=True, slots=True)
class Passage:
    """A hit under the number that citations name: its rank, from 1."""

    number: int
    hit: Hit


def relevant_passages(
    question: str,
    hits: Sequence[Hit],
    similarities: Mapping[tuple[int, int], float],
    least: float,
) -> tuple[Passage, ...]:
    """The hits that bear on the question: at least `least` cosine similarity, or an identifier of
    the question in the text (an embedding says little of a part number).

    Similarities are by document id and ordinal; a hit without one is judged by its text."""
    identifiers = {match[0].casefold() for match in _IDENTIFIER.finditer(question)}
    return tuple(
        Passage(number, hit)
        for number, hit in enumerate(hits, start=1)
        if similarities.get((hit.document_id, hit.ordinal), -2.0) >= least
        or any(each in hit.text.casefold() for each in identifiers)
    )
