"""Hits to answer from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from rag.answer.passage import Passage
from rag.answer.writing import Found
from rag.model import Hit

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)


def hit(text: str, number: int = 1, **changes: Any) -> Hit:
    values: dict[str, Any] = {
        "document": f"doc{number}.pdf", "uri": f"s3://b/doc{number}.pdf", "title": f"Doc {number}",
        "page": number, "heading": "Care", "text": text, "score": 1 / number,
        "ranks": {"dense": number}, "ordinal": 0, "document_id": number, "content_hash": "00",
        **changes,
    }  # fmt: skip
    return Hit(**values)


def passages(*texts: str) -> tuple[Passage, ...]:
    return tuple(Passage(number, hit(text, number)) for number, text in enumerate(texts, start=1))


def found(*texts: str, searched: str = "q") -> Found:
    made = passages(*texts)
    return Found(searched, 1, AS_OF, tuple(each.hit for each in made), made)
