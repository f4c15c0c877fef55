"""Fakes of the ports: small, exact, free of cost. Each passes the suite of its real adapter."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from rag.errors import PoisonError, RagError
from rag.model import Block, BlockKind, ParsedDocument
from rag.ports import ParseJob, ParseOutcome

_WORD = re.compile(r"\S+")


@dataclass(slots=True)
class FakeTokenizer:
    """A token is a word."""

    max_tokens: int = 256
    config: dict[str, object] = field(default_factory=lambda: {"tokenizer": "words"})

    def spans(self, text: str) -> list[tuple[int, int]]:
        return [match.span() for match in _WORD.finditer(text)]

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(_WORD.findall(text)) for text in texts]


@dataclass(slots=True)
class FakeParser:
    """Reads UTF-8 text: paragraphs by blank lines, headings by a leading '# '.

    A file that starts with BROKEN is poison; `errors` maps a name to the error it ends with;
    `parsed` counts the files that were read, `before` runs ahead of each."""

    config: dict[str, object] = field(default_factory=lambda: {"parser": "fake", "version": 1})
    errors: dict[str, RagError] = field(default_factory=dict)
    parsed: list[str] = field(default_factory=list)

    def parse(self, jobs: Iterable[ParseJob]) -> Iterator[ParseOutcome]:
        for job in jobs:
            self.parsed.append(job.name)
            text = job.path.read_text(encoding="utf-8")
            if job.name in self.errors:
                yield ParseOutcome(job.key, None, self.errors[job.name], 0.0)
            elif text.startswith("BROKEN"):
                error = PoisonError("The file is broken: replace it.", code="corrupt_file")
                yield ParseOutcome(job.key, None, error, 0.0)
            else:
                yield ParseOutcome(job.key, read_text(text), None, 0.001)


def read_text(text: str) -> ParsedDocument:
    """The fake parser's view of a text."""
    blocks: list[Block] = []
    parts: list[str] = []
    at = 0
    for paragraph in filter(None, (part.strip() for part in text.split("\n\n"))):
        is_heading = paragraph.startswith("# ")
        body = paragraph.removeprefix("# ")
        kind = BlockKind.HEADING if is_heading else BlockKind.PARAGRAPH
        blocks.append(Block(kind, at, at + len(body), level=1 if is_heading else None))
        parts.append(body)
        at += len(body) + 2
    headings = [part for part, block in zip(parts, blocks, strict=True) if block.level]
    return ParsedDocument(
        text="\n\n".join(parts),
        blocks=tuple(blocks),
        media_type="text/plain",
        title=headings[0] if headings else None,
        parser="fake",
    )
