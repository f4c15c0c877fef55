"""The corpus: a folder of synthetic prose, its changes, and what an index of it must hold."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

PARAGRAPHS = 8
PARAGRAPH_WORDS = (32, 60)
VOCABULARY = 8000
_START = 1_700_000_000
_FOLDER_FILES = 500
_SYLLABLES = ["ba", "co", "di", "fu", "ga", "he", "li", "mo", "na", "pe", "ri", "so", "ta", "ve"]


@dataclass(frozen=True, slots=True)
class Passage:
    """A row that the index must hold."""

    document: str
    text: str
    modified: int


@dataclass
class Corpus:
    """Files below `folder`, and every change made to them; the same for the same seed."""

    folder: Path
    seed: int = 1
    texts: dict[str, list[str]] = field(default_factory=dict)
    modified: dict[str, int] = field(default_factory=dict)
    _clock: count[int] = field(default_factory=lambda: count(_START))

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._words, self._weights = _vocabulary(self._random)

    def fill(self, documents: int) -> None:
        """Write that many new documents."""
        first = len(self.texts)
        for number in range(first, first + documents):
            name = f"part-{number // _FOLDER_FILES:03d}/document-{number:06d}.txt"
            self.texts[name] = [self._paragraph() for _ in range(PARAGRAPHS)]
            self._write(name)

    def edit(self, share: float) -> int:
        """Replace one paragraph in a share of the documents; returns how many."""
        names = self._pick(share)
        for name in names:
            self.texts[name][self._random.randrange(PARAGRAPHS)] = self._paragraph()
            self._write(name)
        return len(names)

    def touch(self, share: float) -> int:
        """Give a share of the documents a new time, and nothing else."""
        names = self._pick(share)
        for name in names:
            self._set_time(name)
        return len(names)

    def rename(self, share: float) -> int:
        """Move a share of the documents to other names; like `mv`, time and content stay."""
        names = self._pick(share)
        for name in names:
            moved = name.replace("document-", "moved-")
            (self.folder / name).rename(self.folder / moved)
            self.texts[moved] = self.texts.pop(name)
            self.modified[moved] = self.modified.pop(name)
        return len(names)

    def delete(self, share: float) -> int:
        """Remove a share of the documents."""
        names = self._pick(share)
        for name in names:
            (self.folder / name).unlink()
            del self.texts[name], self.modified[name]
        return len(names)

    def passages(self) -> Iterator[Passage]:
        """What the index must hold now."""
        for name, texts in self.texts.items():
            for text in texts:
                yield Passage(name, text, self.modified[name])

    def _pick(self, share: float) -> list[str]:
        # a file that was renamed once keeps that name
        names = sorted(name for name in self.texts if "document-" in name)
        return self._random.sample(names, max(1, round(len(self.texts) * share)))

    def _paragraph(self) -> str:
        words = self._random.choices(
            self._words, cum_weights=self._weights, k=self._random.randint(*PARAGRAPH_WORDS)
        )
        return " ".join(words).capitalize() + "."

    def _write(self, name: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n\n".join(self.texts[name]), encoding="utf-8")
        self._set_time(name)

    def _set_time(self, name: str) -> None:
        self.modified[name] = next(self._clock)
        os.utime(self.folder / name, (self.modified[name], self.modified[name]))


def _vocabulary(source: random.Random) -> tuple[list[str], list[float]]:
    """Words with Zipf's frequencies (as cumulative weights): a text index sees them as prose."""
    words = list(dict.fromkeys(_words(source)))
    weights: list[float] = []
    for rank in range(1, len(words) + 1):
        weights.append((weights[-1] if weights else 0.0) + 1 / rank)
    return words, weights


def _words(source: random.Random) -> Iterable[str]:
    return ("".join(source.choices(_SYLLABLES, k=source.randint(1, 4))) for _ in range(VOCABULARY))
