"""Datasets: questions whose answers or passages are known."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from rag.errors import ConfigurationError
from rag.fingerprint import digest


@dataclass(frozen=True, slots=True)
class Relevant:
    """What a question should find: a document by its file name, stem or whole address, or with
    `text` the passage of it that holds this text. A higher `grade` is more relevant."""

    document: str
    text: str | None = None
    grade: int = 1


@dataclass(frozen=True, slots=True)
class Item:
    """One question. `key` names it within its dataset."""

    key: str
    question: str
    answer: str | None = None
    topic: str | None = None
    relevant: tuple[Relevant, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    document_id: int | None = None  # of a synthetic question: the document it quotes


def as_json_lines(items: Sequence[Item]) -> str:
    """The items as JSONL, the shape that reads back as they are."""
    return "".join(json.dumps(_content(item), ensure_ascii=False) + "\n" for item in items)


def content_digest(items: Sequence[Item]) -> bytes:
    """The digest of what is asked and expected; order and origin do not matter."""
    parts = sorted(json.dumps(_content(item), sort_keys=True, ensure_ascii=False) for item in items)
    return digest(parts)


def _content(item: Item) -> dict[str, object]:
    content = asdict(item)
    del content["document_id"]
    return content


def check_items(items: Sequence[Item], source: str) -> list[Item]:
    """The items, when there is at least one and no key stands twice. Raises ConfigurationError
    (`empty_dataset`, `duplicate_item`)."""
    if not items:
        raise ConfigurationError(
            f"{source} holds no question: a row needs a question, and an answer or what should be "
            "found.",
            code="empty_dataset",
        )
    seen: set[str] = set()
    for item in items:
        if item.key in seen:
            raise ConfigurationError(
                f"{source} has two items called {item.key}: give each its own key.",
                code="duplicate_item",
            )
        seen.add(item.key)
    return list(items)
