"""How faithful parsed text is: similarity to reference text by format, beside other readers.

    python -m benchmarks.parsing_fidelity [part of a path]

Measure: Indel similarity (1 - insertions and deletions / total length) of the text in reading order
after markup, case and white space are taken away; for headings and table cells, F1 of their
normalised texts. The references are docling's own Markdown; on PDFs they were made with its layout
models, so 1.0 is agreement with those, not perfection. benchmarks/peers.py says how
to have the peers beside; a reader that fails on a file scores 0 there.
"""

from __future__ import annotations

import csv
import html
import json
import os
import re
import sys
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from benchmarks import peers
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
    (re.compile(r"[‐‑‒–—]"), "-"),
    (re.compile(r"[‘’]"), "'"),
    (re.compile(r"[“”]"), '"'),
    (re.compile(r"\s+"), ""),
)


RESULTS = Path(__file__).with_name("results")
_COLUMNS = ["file", "format", "reader", "text", "headings", "cells"]
_NOTE = (
    "Text: 1 - (insertions + deletions) / total length, without markup, case and white space. "
    "Headings and cells: F1 of their texts. The references are docling's own Markdown, those of "
    "PDFs made with its layout models, so 1.0 is agreement with those, not perfection."
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
    return _against(document.text, headings, cells, reference)


def score_markdown(text: str, reference: str) -> Scores:
    """A peer's Markdown or plain text against the reference."""
    return _against(text, _headings(text), _cells(text), reference)


def _against(text: str, headings: list[str], cells: list[str], reference: str) -> Scores:
    return Scores(
        similarity(plain(text), plain(reference)),
        f1(headings, _headings(reference)),
        f1(cells, _cells(reference)),
    )


def _headings(markdown: str) -> list[str]:
    return [plain(m[1]) for m in re.finditer(r"^#{1,6}\s+(.+)$", markdown, re.MULTILINE)]


def _cells(markdown: str) -> list[str]:
    rows = re.findall(r"^\|(.+)\|\s*$", markdown, re.MULTILINE)
    cells = [plain(cell) for row in rows for cell in re.split(r"(?<!\\)\|", row)]
    return [cell for cell in cells if cell.strip("-:")]


def cases(part: str) -> Iterator[tuple[Path, Path, str]]:
    """Files with a reference in Markdown: path, reference, format."""
    with (DATA / "manifest.csv").open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            reference = row["ground_truth"]
            if reference.endswith(".md") and part in row["path"]:
                yield DATA / row["path"], DATA / reference, row["format"]


def main(part: str = "") -> None:
    """Print a table by format with the peers beside us; write benchmarks/results."""
    found = list(cases(part))
    rows = [_Row(path, form, "rag-assets", scores) for path, form, scores in _ours(found)]
    for name in peers.NAMES:
        rows += [_Row(path, form, name, scores) for path, form, scores in _theirs(name, found)]
    page = report(rows)
    print(page)
    if not part:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "parsing_fidelity.md").write_text(page, encoding="utf-8")
        values = [
            [str(row.path.relative_to(DATA)), row.form, row.reader, *_rounded(row.scores)]
            for row in rows
        ]
        text = json.dumps({"columns": _COLUMNS, "rows": values}, indent=0, ensure_ascii=False)
        (RESULTS / "parsing_fidelity.json").write_text(text + "\n", encoding="utf-8")


class _Row(NamedTuple):
    path: Path
    form: str
    reader: str
    scores: Scores


_Case = tuple[Path, Path, str]
_Scored = tuple[Path, str, Scores]


def _ours(found: list[_Case]) -> Iterator[_Scored]:
    with DoclingParser() as parser:
        jobs = [ParseJob(i, path, path.name) for i, (path, _, _) in enumerate(found)]
        for outcome in parser.parse(jobs):
            path, reference, form = found[outcome.key]
            text = reference.read_text(encoding="utf-8")
            if outcome.document is None:
                yield path, form, _nothing(text)
            else:
                yield path, form, score(outcome.document, text)


def _theirs(name: str, found: list[_Case]) -> Iterator[_Scored]:
    wanted = [case for case in found if case[2] == "pdf" or name not in peers.PDF_ONLY]
    readings = peers.read_all(name, [path for path, _, _ in wanted])
    known = {form for path, _, form in wanted if path in readings and readings[path].text}
    for path, reference, form in wanted:
        if form not in known:
            continue  # a format it does not know at all
        text = reference.read_text(encoding="utf-8")
        reading = readings.get(path)
        read = reading.text if reading else None
        yield path, form, _nothing(text) if read is None else score_markdown(read, text)


def _nothing(reference: str) -> Scores:
    """The scores of a reader that failed on a file."""
    return score_markdown("", reference)._replace(text=0.0)


def report(rows: Sequence[_Row]) -> str:
    """The tables: means by format and reader, over all files with a reference; then PDFs one by
    one."""
    groups: dict[tuple[str, str], list[Scores]] = defaultdict(list)
    for row in rows:
        groups[row.form, row.reader].append(row.scores)
    lines = ["# Fidelity to the reference texts", "", _NOTE, ""]
    lines += ["| format | reader | files | text | headings | cells |", "|---|---|--:|--:|--:|--:|"]
    order = {name: i for i, name in enumerate(("rag-assets", *peers.NAMES))}
    for (form, reader), scores in sorted(groups.items(), key=lambda g: (g[0][0], order[g[0][1]])):
        shown = " | ".join("-" if v is None else f"{v:.3f}" for v in _mean(scores))
        lines.append(f"| {form} | {reader} | {len(scores)} | {shown} |")
    readers = [name for name in order if any(row.reader == name for row in rows)]
    lines += ["", "## PDF, file by file: similarity of the text", ""]
    lines += ["| file | " + " | ".join(readers) + " |", "|---|" + "--:|" * len(readers)]
    by_file: dict[str, dict[str, float]] = defaultdict(dict)
    for row in rows:
        if row.form == "pdf":
            by_file[row.path.name][row.reader] = row.scores.text
    for name, values in sorted(by_file.items()):
        shown = " | ".join(f"{values[r]:.3f}" if r in values else "-" for r in readers)
        lines.append(f"| {name} | {shown} |")
    return "\n".join(lines) + "\n"


def _mean(rows: list[Scores]) -> Scores:
    def mean(values: list[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return fmean(known) if known else None

    headings, cells = mean([row.headings for row in rows]), mean([row.cells for row in rows])
    return Scores(fmean(row.text for row in rows), headings, cells)


def _rounded(scores: Scores) -> list[float | None]:
    return [None if value is None else round(value, 4) for value in scores]


if __name__ == "__main__":
    main(*sys.argv[1:2])
