"""Fakes of the ports: small, exact, free of cost. Each passes the suite of its real adapter."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rag.errors import PoisonError, RagError
from rag.model import Block, BlockKind, ParsedDocument
from rag.ports import Attachment, FileLimits, ParseJob, ParseOutcome

_WORD = re.compile(r"\S+")
MAIL = "MAIL "


@dataclass(slots=True)
class FakeTokenizer:
    """A token is a word."""

    max_tokens: int = 256
    config: dict[str, object] = field(default_factory=lambda: {"tokenizer": "words"})

    def starts(self, texts: Sequence[str]) -> list[list[int]]:
        return [[match.start() for match in _WORD.finditer(text)] for text in texts]

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(_WORD.findall(text)) for text in texts]


@dataclass(slots=True)
class FakeParser:
    """Reads UTF-8 text: paragraphs by blank lines, headings by a leading '# '.

    A file that starts with BROKEN is poison; `errors` maps a name to the error it ends with;
    `parsed` counts the files that were read, `unpacked` the mails. A mail is what `mail` makes."""

    config: dict[str, object] = field(default_factory=lambda: {"parser": "fake", "version": 1})
    errors: dict[str, RagError] = field(default_factory=dict)
    parsed: list[str] = field(default_factory=list)
    unpacked: list[str] = field(default_factory=list)

    def prepare(self, documents: int, limits: FileLimits | None = None) -> None:
        """It is always ready."""

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

    def attachments(self, job: ParseJob, folder: Path) -> tuple[Attachment, ...]:
        self.unpacked.append(job.name)
        if job.name in self.errors:
            raise self.errors[job.name]
        made = []
        for ordinal, (name, data) in enumerate(_attached(job.path.read_text(encoding="utf-8"))):
            path = folder / str(ordinal)
            path.write_text(data, encoding="utf-8")
            made.append(Attachment(ordinal, name, "text/plain", path))
        return tuple(made)


def mail(body: str, *files: tuple[str, str]) -> str:
    """What the fake parser takes for a mail: its body, and the files attached to it."""
    return MAIL + json.dumps([body, files])


def _attached(text: str) -> list[tuple[str, str]]:
    if not text.startswith(MAIL):
        return []
    return [(name, data) for name, data in json.loads(text.removeprefix(MAIL))[1]]


def read_text(text: str) -> ParsedDocument:
    """The fake parser's view of a text."""
    attached = _attached(text)
    if text.startswith(MAIL):
        text = json.loads(text.removeprefix(MAIL))[0]
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
        metadata={"attachments": str(len(attached))} if attached else {},
    )
