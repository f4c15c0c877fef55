"""A folder of real prose: the passages of the three judged collections, each one chunk for all."""

from __future__ import annotations

import os
import random
import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.incremental.contenders.ours import REAL_CHUNK
from benchmarks.incremental.documents import Passage
from benchmarks.retrieval.judged import LOADERS, load
from rag.embed.pretrained import bundled_model_folder
from rag.embed.tokenizer import ModelTokenizer

PER_DOCUMENT = 3
# two passages never share a chunk; the most is less than a chunk, for a joined text may count more
_LEAST, _MOST = REAL_CHUNK // 2 + 2, REAL_CHUNK - 12
_START = 1_700_000_000
_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")


def passages(count: int) -> list[str]:
    """That many different passages of more than half a chunk and at most one, so that two never
    share a chunk; the collections take turns."""
    tokenizer = ModelTokenizer(bundled_model_folder())
    found: dict[str, None] = {}
    texts = [list(load(name).passages.values()) for name in LOADERS]
    for row in range(max(map(len, texts))):
        for text in (collection[row] for collection in texts if row < len(collection)):
            found |= dict.fromkeys(filter(_is_plain, _cut(text, tokenizer)))
        if len(found) >= count:
            return list(found)[:count]
    raise ValueError(f"the collections hold only {len(found)} passages")


def _is_plain(text: str) -> bool:
    """Whether our cleaning leaves the text as it is: no unseen character, composed letters."""
    return text.isprintable() and unicodedata.is_normalized("NFC", text)


def _cut(text: str, tokenizer: ModelTokenizer) -> list[str]:
    """Runs of sentences that fill more than half a chunk."""
    sentences = [" ".join(sentence.split()) for sentence in _END.split(" ".join(text.split()))]
    made: list[str] = []
    run: list[str] = []
    for sentence in [*sentences, ""]:
        joined = " ".join([*run, sentence])
        if sentence and tokenizer.count([joined])[0] <= _MOST:
            run.append(sentence)
            continue
        if run and tokenizer.count([" ".join(run)])[0] >= _LEAST:
            made.append(" ".join(run))
        run = [sentence] if tokenizer.count([sentence])[0] <= _MOST else []
    return made


@dataclass
class Prose:
    """Documents of PER_DOCUMENT passages below `folder`; the last passages are kept for edits."""

    folder: Path
    texts: list[str]
    spare: list[str] = field(default_factory=list)

    def write(self) -> None:
        """Make the files."""
        self.folder.mkdir(parents=True)
        for number in range(0, len(self.texts), PER_DOCUMENT):
            self._write(number)

    def edit(self, share: float) -> int:
        """Another passage in a share of the documents; returns how many."""
        starts = range(0, len(self.texts), PER_DOCUMENT)
        chosen = random.Random(1).sample(starts, max(1, round(len(starts) * share)))
        for number in chosen:
            self.texts[number] = self.spare.pop()
            self._write(number)
        return len(chosen)

    def passages(self) -> list[Passage]:
        """What an index must hold now."""
        return [
            Passage(self._name(number - number % PER_DOCUMENT), text, 0)
            for number, text in enumerate(self.texts)
        ]

    def _name(self, number: int) -> str:
        return f"part-000/document-{number:06d}.txt"

    def _write(self, number: int) -> None:
        path = self.folder / self._name(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        path.write_text("\n\n".join(self.texts[number : number + PER_DOCUMENT]), encoding="utf-8")
        modified = _START + number if is_new else _START + len(self.texts) + number
        os.utime(path, (modified, modified))
