"""How fast files are parsed and what it takes: per format, beside other readers.

    python -m benchmarks.parsing [format]

One file at a time, one process each, OCR off; files of the shared documents that every reader of
the format may be asked for. Ours runs in its sandboxed child, with preflight, structure and
cleaning; the peers run bare. Memory is the highest resident size of the process that parses, a
reader's imports included. benchmarks/peers.py says how to have the peers beside.
"""

from __future__ import annotations

import csv
import json
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks import peers
from benchmarks.parsing_fidelity import DATA, RESULTS
from rag.parse.limits import MIB
from rag.parse.ocr import OcrConfig
from rag.parse.pdf_source import PdfSource
from rag.parse.pool import DoclingParser
from rag.ports import ParseJob

_FORMATS = ("pdf", "docx", "pptx", "xlsx", "html", "md", "csv", "eml", "epub", "odt", "nxml")


class Cost(NamedTuple):
    """What one reader took for the files of one format that it read."""

    form: str
    reader: str
    read: int
    files: int
    pages: int
    seconds: float
    peak_mib: int

    @property
    def rate(self) -> float:
        """Pages a second where files have pages, else files a second."""
        return (self.pages or self.read) / max(1e-9, self.seconds)


def files(form: str) -> dict[Path, int]:
    """The open files of a format that stand in the manifest, with their pages (0: not counted)."""
    with (DATA / "manifest.csv").open(encoding="utf-8") as stream:
        return {
            DATA / row["path"]: int(row["pages"] or 0) if form == "pdf" else 0
            for row in csv.DictReader(stream)
            if row["format"] == form and "password" not in row["expected"]
        }


class _Watch:
    """The highest resident size of this process's descendants while it is entered."""

    def __init__(self) -> None:
        self.peak = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(timeout=5)

    def _look(self) -> None:
        me = psutil.Process()
        while not self._done.wait(0.02):
            for child in me.children(recursive=True):
                try:
                    self.peak = max(self.peak, child.memory_info().rss)
                except psutil.NoSuchProcess:
                    continue


def ours(form: str, found: dict[Path, int]) -> Cost:
    """Our cost; the child is warm, as in service, its imports paid by one file before."""
    paths = list(found)
    read = pages = 0
    seconds = 0.0
    with DoclingParser(workers=1, ocr=OcrConfig("off")) as parser, _Watch() as watch:
        list(parser.parse([ParseJob(0, paths[0], paths[0].name)]))
        for outcome in parser.parse(ParseJob(i, p, p.name) for i, p in enumerate(paths)):
            seconds += outcome.seconds
            if outcome.document is not None:
                read += 1
                pages += found[paths[outcome.key]]
    return Cost(form, "rag-assets", read, len(paths), pages, seconds, watch.peak // MIB)


def theirs(name: str, form: str, found: dict[Path, int]) -> Cost | None:
    """A peer's cost, its imports left out; None where it reads nothing of the format."""
    readings = peers.read_all(name, list(found))
    good = {path: r for path, r in readings.items() if r.text is not None and r.text.strip()}
    if not good:
        return None
    seconds = sum(r.seconds for r in readings.values())
    peak = max(r.peak_bytes for r in readings.values()) // MIB
    pages = sum(found[path] for path in good)
    return Cost(form, name, len(good), len(found), pages, seconds, peak)


def share_outside_docling(found: dict[Path, int]) -> float:
    """The part of a PDF's time that is not docling's native parser, the files' own time summed."""
    inside = total = 0.0
    with DoclingParser(workers=1, ocr=OcrConfig("off")) as parser:
        paths = [path for path, pages in found.items() if pages]
        list(parser.parse([ParseJob(0, paths[0], paths[0].name)]))
        for outcome in parser.parse(ParseJob(i, p, p.name) for i, p in enumerate(paths)):
            if outcome.document is None:
                continue
            started = time.perf_counter()
            for page in PdfSource(paths[outcome.key], None).pages():
                del page
            inside += time.perf_counter() - started
            total += outcome.seconds
    return max(0.0, 1 - inside / total)


def main(only: str = "") -> None:
    """Print the table; write benchmarks/results/parsing.md and .json for all formats."""
    costs: list[Cost] = []
    share = 0.0
    for form in [only] if only else _FORMATS:
        found = files(form)
        costs.append(ours(form, found))
        names = [n for n in peers.NAMES if form == "pdf" or n not in peers.PDF_ONLY]
        costs += [cost for name in names if (cost := theirs(name, form, found)) is not None]
        if form == "pdf":
            share = share_outside_docling(found)
    page = report(costs, share)
    print(page)
    if not only:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "parsing.md").write_text(page, encoding="utf-8")
        values = {"share_outside_docling": share, "costs": [cost._asdict() for cost in costs]}
        (RESULTS / "parsing.json").write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def report(costs: list[Cost], share: float) -> str:
    """The costs as a table, pages a second for PDF and files a second for the rest."""
    lines = ["# Speed and memory of parsing", ""]
    lines += ["| format | reader | files read | per second | peak MiB |", "|---|---|--:|--:|--:|"]
    by_form: dict[str, list[Cost]] = defaultdict(list)
    for cost in costs:
        by_form[cost.form].append(cost)
    for form, group in by_form.items():
        unit = "pages" if any(cost.pages for cost in group) else "files"
        for c in group:
            shown = f"{c.rate:.1f} {unit} | {c.peak_mib}"
            lines.append(f"| {form} | {c.reader} | {c.read} of {c.files} | {shown} |")
    if share:
        lines += ["", f"Of a PDF's time {share:.0%} is spent outside docling's native parser."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main(*sys.argv[1:2])
