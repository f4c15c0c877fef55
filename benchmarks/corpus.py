"""Every file of the shared documents through the parser: what parsed, what did not, and why.

    python -m benchmarks.corpus [part of a path]

Writes benchmarks/results/corpus.md and corpus.json. Exits with 1 on a crash, a hang, an
unexplained rejection or a difference from the manifest that nobody reviewed.
"""

from __future__ import annotations

import ast
import csv
import json
import os
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rag.parse.pool import DoclingParser
from rag.ports import ParseJob, ParseOutcome

DATA = Path(os.environ.get("RAG_TEST_DATA", "../shared/data")) / "documents"
RESULTS = Path(__file__).with_name("results")
_PASSWORD = re.compile(r'password[^"\n]*"([^"]+)"|opening (\w+)')
_CRASHES = frozenset({"parser_crashed", "parse_timeout", "parse_memory", "parser_unavailable"})
_NEEDS_OCR = ("no-text-layer", "scanned/ocr")
_IMAGES = frozenset({"jpg", "png", "tif", "tiff", "webp"})
_LOCKED = "password_required"
_BLANK = (
    "the document is blank or holds empty paragraphs and tables only: there is nothing to index"
)
_MARKUP = "the strings are Markdown as markitdown writes it; the words they hold are all there"

# Differences from the manifest, looked at by hand. A reason holds for one outcome of one file: when
# the outcome changes, the difference is seen again.
REVIEWED: dict[tuple[str, str], str] = {
    ("docling/uspto/tables_ipa20180000016.xml", "unsupported_type"): (
        "a bare CALS <table>, the fixture of a unit test: XML of no document vocabulary"
    ),
    ("py-pdf-sample-files/007-imagemagick-images/imagemagick-images.pdf", "no_text"): (
        "six pages of 4 by 4 points that hold tiny pictures; the word in their marked content is "
        "drawn nowhere"
    ),
    ("py-pdf-sample-files/017-unreadable-meta-data/unreadablemetadata.pdf", "corrupt_file"): (
        "its trailer has lost /Root: PDFium and docling-parse both refuse it"
    ),
    ("markitdown/test_files.zip", "unsupported_type"): (
        "a zip archive of documents is refused on purpose: upload what is in it"
    ),
    ("markitdown/test.docx", "parsed"): (
        "the missing one is a placeholder for the bytes of a picture, which we leave out"
    ),
    ("markitdown/test.epub", "parsed"): (
        "author and description stand in the metadata, not in the text; block quotes have no mark"
    ),
    ("markitdown/test.pptx", "parsed"): (
        "alternative texts of pictures: docling's slide reader does not pass them on"
    ),
    ("markitdown/test_outlook_msg.msg", "parsed"): (
        "Markdown marks, and another sender: we show the one of the transport headers"
    ),
    ("markitdown/test_serp.html", "parsed"): "link targets and title attributes are no text",
    ("markitdown/test_wikipedia.html", "parsed"): _MARKUP,
    ("python-docx/blk-containing-table.docx", "no_text"): _BLANK,
    ("python-docx/doc-coreprops.docx", "no_text"): _BLANK,
    ("python-docx/doc-default.docx", "no_text"): _BLANK,
    ("python-docx/doc-no-coreprops.docx", "no_text"): _BLANK,
    ("python-docx/doc-word-default-blank.docx", "no_text"): _BLANK,
}


@dataclass(frozen=True, slots=True)
class Case:
    """One file of the manifest and what it says must happen."""

    path: str
    form: str
    trait: str
    expected: str
    strings: tuple[str, ...] = ()

    @property
    def passwords(self) -> tuple[str, ...]:
        """The passwords the manifest states for the file."""
        found = _PASSWORD.search(self.expected)
        return tuple(text for text in found.groups() if text) if found else ()


@dataclass(frozen=True, slots=True)
class Row:
    """How one file ended; `difference` names what is not as stated, '' when all is."""

    path: str
    form: str
    outcome: str
    seconds: float
    difference: str = ""
    why: str = ""

    @property
    def is_bad(self) -> bool:
        """True for what must not be: a crash, or a difference without a reviewed reason."""
        return self.outcome in _CRASHES or bool(self.difference and not self.why)


def cases(part: str) -> list[Case]:
    """The files of the manifest whose path contains `part`."""
    with (DATA / "manifest.csv").open(encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if part in row["path"]]
    strings = _required_strings()
    return [
        Case(
            row["path"],
            row["format"],
            row["trait"],
            row["expected"],
            strings.get(row["path"], ()) if "_test_vectors" in row["expected"] else (),
        )
        for row in rows
    ]


def _required_strings() -> dict[str, tuple[str, ...]]:
    """By path: the strings that markitdown's test vectors require, read without running them."""
    source = DATA / "markitdown/groundtruth/_test_vectors.py"
    if not source.exists():
        return {}
    found: dict[str, tuple[str, ...]] = {}
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            values = {word.arg: word.value for word in node.keywords}
            if {"filename", "must_include"} <= values.keys():
                name = ast.literal_eval(values["filename"])
                strings = tuple(ast.literal_eval(values["must_include"]))
                found.setdefault(f"markitdown/{name}", strings)  # the plain mode comes first
    return found


def judge(case: Case, outcome: ParseOutcome) -> Row:
    """The outcome against what the manifest states."""
    document, error = outcome.document, outcome.error
    name = error.code if error else "partial" if document and document.is_partial else "parsed"
    difference = "; ".join(_differences(case, outcome))
    why = REVIEWED.get((case.path, name), "") if difference else ""
    return Row(case.path, case.form, name, round(outcome.seconds, 2), difference, why)


def _differences(case: Case, outcome: ParseOutcome) -> Iterator[str]:
    if outcome.error is not None:
        if not _is_expected(case, outcome.error.code):
            yield f"rejected: {outcome.error.code}"
        return
    assert outcome.document is not None
    if "must be refused" in case.expected:
        yield "parsed, but must be refused"
    if case.expected.startswith("{"):
        pages = json.loads(case.expected)["pages"]
        if outcome.document.page_count != pages:
            yield f"{outcome.document.page_count} pages, stated are {pages}"
    if outcome.document.is_partial and not _may_lack_text(case):
        yield "partial: " + "; ".join(outcome.document.warnings)
    text = _plain(outcome.document.text)
    missing = [s for s in case.strings if _plain(s) not in text]
    if missing:
        yield f"{len(missing)} of {len(case.strings)} required strings missing: {missing[0][:60]!r}"


def _is_expected(case: Case, code: str) -> bool:
    """True when the manifest itself states that the file must end so."""
    if code == _LOCKED:
        stated = "must be refused" in case.expected or '"encrypted": true' in case.expected
        return stated and not case.passwords
    return code == "no_text" and _may_lack_text(case)


def _may_lack_text(case: Case) -> bool:
    no_layer = any(trait in case.trait for trait in _NEEDS_OCR)
    return case.form in _IMAGES or (no_layer and case.form == "pdf" and not case.strings)


def _plain(text: str) -> str:
    """Text as required strings are looked for: without Markdown's marks, spaces and case."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"[\s#*_`|\\$-]+", "", text).lower()


def run(found: Sequence[Case]) -> tuple[list[Row], dict[str, object]]:
    """All files through one parser; the rows in the order of the manifest."""
    rows: dict[int, Row] = {}
    started = time.monotonic()
    with DoclingParser() as parser:
        jobs = [
            ParseJob(i, DATA / case.path, Path(case.path).name, case.passwords)
            for i, case in enumerate(found)
        ]
        for outcome in parser.parse(jobs):
            rows[outcome.key] = judge(found[outcome.key], outcome)
        facts = {"config": parser.config, "seconds": round(time.monotonic() - started, 1)}
    return [rows[key] for key in sorted(rows)], facts


def report(rows: Sequence[Row], facts: dict[str, object]) -> str:
    """The Markdown page: a table by format, then every difference with its reason."""
    by_form: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        by_form[row.form][row.outcome] += 1
    lines = ["# The shared documents through the parser", "", _summary(rows, facts), ""]
    lines += ["| format | files | parsed | partial | rejected, by code |", "|---|--:|--:|--:|---|"]
    for form, counts in sorted(by_form.items()):
        lines.append(_line(form, counts))
    lines.append(_line("**all**", Counter(row.outcome for row in rows)))
    lines += ["", "## Differences from what the manifest states", ""]
    lines += ["| file | outcome | difference | why |", "|---|---|---|---|"]
    lines += [
        f"| `{row.path}` | {row.outcome} | {row.difference} | {row.why or '**not reviewed**'} |"
        for row in rows
        if row.difference
    ]
    return "\n".join(lines) + "\n"


def _summary(rows: Sequence[Row], facts: dict[str, object]) -> str:
    bad = [row for row in rows if row.is_bad]
    crashes = sum(row.outcome in _CRASHES for row in rows)
    config = facts["config"]
    assert isinstance(config, dict)
    return (
        f"{len(rows)} files in {facts['seconds']} s; {crashes} crashes or hangs, "
        f"{len(bad) - crashes} unexplained. PDF path: {config['pdf']}; OCR: {config.get('ocr')}."
    )


def _line(form: str, counts: Counter[str]) -> str:
    rejected = {k: n for k, n in sorted(counts.items()) if k not in ("parsed", "partial")}
    shown = ", ".join(f"{code} {n}" for code, n in rejected.items())
    return f"| {form} | {counts.total()} | {counts['parsed']} | {counts['partial']} | {shown} |"


def main(part: str = "") -> int:
    """Run, write the results, and say by the exit code whether all ended as it should."""
    found = cases(part)
    rows, facts = run(found)
    page = report(rows, facts)
    print(page)
    if not part:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "corpus.md").write_text(page, encoding="utf-8")
        values = [{name: getattr(row, name) for name in Row.__dataclass_fields__} for row in rows]
        text = json.dumps({**facts, "files": values}, indent=1, ensure_ascii=False)
        (RESULTS / "corpus.json").write_text(text + "\n", encoding="utf-8")
    lost = len(found) - len(rows)
    return int(lost > 0 or any(row.is_bad for row in rows))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
