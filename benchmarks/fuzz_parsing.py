"""Damaged files through preflight and the parser child: every one must end as text or by a code.

    python -m benchmarks.fuzz_parsing [files] [seed]

Mutates files of the shared documents (RAG_TEST_DATA): bytes flipped, cut, doubled, spliced; members
of packages mutated inside and packed again. Exits with 1 when a child ended in a way that is no
limit of ours and no crash of a native library, or when the pool itself raised. What killed a child
is kept in the folder it prints.
"""

from __future__ import annotations

import csv
import io
import json
import os
import random
import sys
import tempfile
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from rag.parse.limits import MIB, ParseLimits
from rag.parse.ocr import OcrConfig
from rag.parse.pool import DoclingParser
from rag.ports import ParseJob, ParseOutcome

DATA = Path(os.environ.get("RAG_TEST_DATA", "../shared/data")) / "documents"
RESULTS = Path(__file__).with_name("results")
LIMITS = ParseLimits(wall_s=30, wall_per_page_s=0.5, memory_bytes=1024 * MIB)
_MOST_BYTES = 1_500_000
_TOKENS = (b"\0" * 64, b"\xff" * 64, b"<" * 200, b"&#x0;", b"]]>", b"endobj", b"%PDF-", b"PK\3\4")

Mutation = Callable[[random.Random, bytes], bytes]


def flipped(rng: random.Random, data: bytes) -> bytes:
    """Some bytes replaced by any others."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 4, 32, 256))):
        out[rng.randrange(len(out))] = rng.randrange(256)
    return bytes(out)


def cut(rng: random.Random, data: bytes) -> bytes:
    """The end, or a part of the middle, missing."""
    start = rng.randrange(len(data))
    end = len(data) if rng.random() < 0.5 else min(len(data), start + rng.randrange(1, 5000))
    return data[:start] + data[end:]


def doubled(rng: random.Random, data: bytes) -> bytes:
    """A part that stands there several times."""
    start = rng.randrange(len(data))
    part = data[start : start + rng.choice((8, 200, 4000))]
    return data[:start] + part * rng.choice((2, 50)) + data[start:]


def sown(rng: random.Random, data: bytes) -> bytes:
    """Tokens that mean something to a parser, where they do not belong."""
    for _ in range(rng.choice((1, 8))):
        at = rng.randrange(len(data))
        data = data[:at] + rng.choice(_TOKENS) + data[at:]
    return data


_MUTATIONS: tuple[Mutation, ...] = (flipped, cut, doubled, sown)


def mutated(rng: random.Random, data: bytes) -> bytes:
    """One damaged form of a file; packages are opened and damaged inside half of the time."""
    if data.startswith(b"PK") and rng.random() < 0.6:
        return _inside(rng, data)
    for _ in range(rng.choice((1, 1, 2))):
        data = rng.choice(_MUTATIONS)(rng, data) or b"x"
    return data


def _inside(rng: random.Random, data: bytes) -> bytes:
    out = io.BytesIO()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
            names = [m.filename for m in old.infolist() if m.file_size]
            chosen = set(rng.sample(names, min(len(names), rng.choice((1, 1, 3)))))
            for name in dict.fromkeys(names):
                content = old.read(name)
                change = rng.choice(_MUTATIONS)
                new.writestr(name, change(rng, content) if name in chosen else content)
    except (zipfile.BadZipFile, RuntimeError, OSError, zlib.error):
        return flipped(rng, data)
    return out.getvalue()


def jobs(count: int, seed: int, folder: Path, made: dict[int, str]) -> Iterator[ParseJob]:
    """`count` damaged files, written one at a time as the parser takes them."""
    rng = random.Random(seed)
    with (DATA / "manifest.csv").open(encoding="utf-8") as stream:
        paths = [DATA / row["path"] for row in csv.DictReader(stream)]
    paths = [path for path in paths if 0 < path.stat().st_size <= _MOST_BYTES]
    for key in range(count):
        source = rng.choice(paths)
        path = folder / str(key)
        path.write_bytes(mutated(rng, source.read_bytes()))
        made[key] = str(source.relative_to(DATA))
        yield ParseJob(key, path, source.name, ("asdfzxcv",))


def ended(outcome: ParseOutcome) -> str:
    """What a file ended as; the way a child died is part of it."""
    if outcome.error is None:
        assert outcome.document is not None
        return "partial" if outcome.document.is_partial else "parsed"
    how = outcome.error.facts.get("how")
    return f"{outcome.error.code} ({how})" if how else outcome.error.code


def is_unexplained(end: str) -> bool:
    """True for a child that ended by no signal and no limit: an error of ours got out of it."""
    return end.startswith("parser_crashed") and "killed by SIG" not in end


def main(count: int = 2000, seed: int = 1) -> int:
    """Run, print the table, write benchmarks/results/fuzz_parsing.json."""
    folder = Path(tempfile.mkdtemp(prefix="rag-fuzz-"))
    made: dict[int, str] = {}
    ends: Counter[str] = Counter()
    kept: list[dict[str, object]] = []
    started = time.monotonic()
    with DoclingParser(LIMITS, ocr=OcrConfig("off")) as parser:
        for outcome in parser.parse(jobs(count, seed, folder, made)):
            end = ended(outcome)
            ends[end] += 1
            if end.startswith("parser_crashed"):
                kept.append({"key": outcome.key, "source": made[outcome.key], "end": end})
            else:
                (folder / str(outcome.key)).unlink()
    seconds = round(time.monotonic() - started, 1)
    unexplained = sum(number for end, number in ends.items() if is_unexplained(end))
    print(f"{ends.total()} of {count} files in {seconds} s, {unexplained} unexplained; {folder}")
    for end, number in ends.most_common():
        print(f"{number:7} {end}")
    for entry in kept:
        print(entry)
    facts = {"files": count, "seed": seed, "seconds": seconds, "unexplained": unexplained}
    RESULTS.mkdir(exist_ok=True)
    page = json.dumps({**facts, "ends": dict(ends.most_common()), "died": kept}, indent=1)
    (RESULTS / "fuzz_parsing.json").write_text(page + "\n", encoding="utf-8")
    return int(unexplained > 0 or ends.total() != count)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:3])))
