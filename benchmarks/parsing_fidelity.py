"""How faithful parsed text is: similarity to reference text by format, beside pypdf and pypdfium2.

    python -m benchmarks.parsing_fidelity [part of a path]

Measure: Indel similarity (1 - insertions and deletions / total length) of the text in reading order
after markup, case and white space are taken away; for headings and table cells, F1 of their
normalised texts. The references are docling's own Markdown; on PDFs they were made with its layout
models, so 1.0 is agreement with those, not perfection. Peers give text only: no headings, no cells.
"""

from __future__ import annotations

import csv
import html
import os
import re
import sys
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from rag.model import BlockKind, ParsedDocument
from rag.parse.pool import DoclingParser
from rag.ports import ParseJob

DATA = Path(os.environ.get("RAG_TEST_DATA", "../shared/data")) / "documents"
_MARKUP = (
    (re.compile(r"<!--.*?-->", re.DOTALL), " "),
    (re.compile(r"!\[[^\]]*\]\([^)]*\)"), " "),
    (re.compile(r"\[([^\]]*)\]\([^)\s]*\)"), r"\1"),
    (re.compile(r"</?[a-zA-Z][^>]*>"), " "),
    (re.compile(r"^\s*\|?[\s:|-]{3,}\|?\s*$", re.MULTILINE), " "),
    (re.compile(r"^\s*(?:#{1,6}|[-*+•·]|```\w*)\s", re.MULTILINE), " "),
    (re.compile(r"[*_`|\\$#]"), " "),
    (re.compile(r"[‐‑‒–—]"), "-"),  # noqa: RUF001
    (re.compile(r"[‘’]"), "'"),  # noqa: RUF001
    (re.compile(r"[“”]"), '"'),
    (re.compile(r"\s+"), ""),
)


class Scores(NamedTuple):
    """What one file scored; None where the reference has nothing to compare."""

    text: float
    headings: float | None
    cells: float | None


def plain(text: str) -> str:
    """Text without markup, case and white space."""
    text = unicodedata.normalize("NFKC", html.unescape(text))
    for pattern, replacement in _MARKUP:
        text = pattern.sub(replacement, text)
    return text.lower()


def similarity(a: str, b: str) -> float:
    """1 - edit distance by insertions and deletions, over the total length."""
    if not a and not b:
        return 1.0
    try:
        from rapidfuzz.distance import Indel
    except ImportError:
        from difflib import SequenceMatcher

        return SequenceMatcher(None, a, b, autojunk=False).ratio()
    return float(Indel.normalized_similarity(a, b))


def f1(found: Sequence[str], wanted: Sequence[str]) -> float | None:
    """F1 of two bags of texts; None when nothing is wanted."""
    if not wanted:
        return None
    shared = sum((Counter(found) & Counter(wanted)).values())
    return 2 * shared / (len(found) + len(wanted))


def score(document: ParsedDocument, reference: str) -> Scores:
    """Our document against the reference Markdown."""
    texts: dict[BlockKind, list[str]] = defaultdict(list)
    for block in document.blocks:
        texts[block.kind].append(document.text[block.start : block.end])
    cells = [cell for table in texts[BlockKind.TABLE] for cell in _cells(table)]
    headings = [plain(text) for text in texts[BlockKind.HEADING]]
    wanted = [plain(m[1]) for m in re.finditer(r"^#{1,6}\s+(.+)$", reference, re.MULTILINE)]
    return Scores(
        similarity(plain(document.text), plain(reference)),
        f1(headings, wanted),
        f1(cells, _cells(reference)),
    )


def _cells(markdown: str) -> list[str]:
    rows = re.findall(r"^\|(.+)\|\s*$", markdown, re.MULTILINE)
    cells = [plain(cell) for row in rows for cell in re.split(r"(?<!\\)\|", row)]
    return [cell for cell in cells if cell.strip("-:")]


def _pypdf(path: Path) -> str:
    from pypdf import PdfReader

    return "\n".join(page.extract_text() for page in PdfReader(path).pages)


def _pypdfium2(path: Path) -> str:
    import pypdfium2

    document = pypdfium2.PdfDocument(path)
    return "\n".join(page.get_textpage().get_text_range() for page in document)


PEERS: dict[str, Callable[[Path], str]] = {"pypdf": _pypdf, "pypdfium2": _pypdfium2}


def cases(part: str) -> Iterator[tuple[Path, Path, str]]:
    """Files with a reference in Markdown: path, reference, format."""
    with (DATA / "manifest.csv").open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            reference = row["ground_truth"]
            if reference.endswith(".md") and part in row["path"]:
                yield DATA / row["path"], DATA / reference, row["format"]


def main(part: str = "") -> None:
    """Print a line per file with a score below 0.9 and a table by format."""
    found = list(cases(part))
    table: dict[str, list[Scores]] = defaultdict(list)
    peers: dict[str, list[float]] = defaultdict(list)
    with DoclingParser() as parser:
        jobs = [ParseJob(i, path, path.name) for i, (path, _, _) in enumerate(found)]
        for outcome in parser.parse(jobs):
            path, reference, form = found[outcome.key]
            text = reference.read_text(encoding="utf-8")
            if outcome.document is None:
                print(f"{path.relative_to(DATA)}: {outcome.error.code if outcome.error else ''}")
                continue
            scores = score(outcome.document, text)
            table[form].append(scores)
            line = f"{path.relative_to(DATA)}: {_row(scores)}"
            if form == "pdf":
                for name, read in PEERS.items():
                    value = similarity(plain(read(path)), plain(text))
                    peers[name].append(value)
                    line += f" {name} {value:.3f}"
            if scores.text < 0.9 or part or form == "pdf":
                print(line)
    for form, rows in sorted(table.items()):
        print(f"{form:10} files {len(rows):3}  {_mean(rows)}")
    for name, values in peers.items():
        print(f"pdf by {name:10} text {fmean(values):.3f}")


def _mean(rows: list[Scores]) -> str:
    def mean(values: list[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return fmean(known) if known else None

    return _row(
        Scores(
            fmean(row.text for row in rows),
            mean([row.headings for row in rows]),
            mean([row.cells for row in rows]),
        )
    )


def _row(scores: Scores) -> str:
    shown = ("-" if v is None else f"{v:.3f}" for v in scores)
    return "text {} headings {} cells {}".format(*shown)


if __name__ == "__main__":
    main(*sys.argv[1:2])
