"""A PDF as content: docling's layout pipeline when its models are at hand, else our own assembly
of what docling's native parser reads. Runs in the child."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from rag.parse.archives import corrupt
from rag.parse.ocr import OcrConfig, ocr_of
from rag.parse.pdf_assembly import assemble
from rag.parse.pdf_colours import white_words
from rag.parse.pdf_page import Box, Page, Word
from rag.parse.pdf_pictures import with_pictures
from rag.parse.pdf_source import PdfSource, read_metadata
from rag.parse.pieces import Content
from rag.parse.scans import read_empty_pages

_FACTS = {
    "Subject": "subject",
    "Keywords": "keywords",
    "Creator": "creator_tool",
    "Producer": "producer",
}
_DATE = re.compile(r"D:(\d{4})(\d{2})?(\d{2})?(\d{2})?(\d{2})?(\d{2})?")
_DULL_TITLE = re.compile(
    r"untitled|microsoft word|powerpoint|\.(docx?|pdf|tex|dvi|indd|qxd)$", re.I
)


@dataclass(frozen=True, slots=True)
class PdfChoices:
    """How PDFs are read: with which models, which OCR, and whether hidden words are left out."""

    artifacts: str | None = None
    ocr: OcrConfig = OcrConfig()  # noqa: RUF009  (frozen)
    strip_hidden: bool = False


def convert_pdf(
    path: Path, password: str | None, choices: PdfChoices, report: Callable[..., None]
) -> Content:
    """The content of the PDF. Raises PoisonError (`corrupt_file`) when it can not be decoded."""
    if choices.artifacts is not None:
        from rag.parse.pdf_layout import convert_with_layout

        return convert_with_layout(path, password, choices.artifacts)
    source, pages = _read(path, password, report)
    broken = sorted(set(range(1, source.page_count + 1)) - {page.number for page in pages})
    reader = ocr_of(choices.ocr)
    by_ocr: list[int] = []
    if reader is not None:
        pages, by_ocr = read_empty_pages(path, password, pages, reader, choices.ocr.dpi, report)
    pages = _with_colours(pages, white_words(path, password, source.page_count))
    hidden = sum(len(w.text) for page in pages for w in page.words if w.is_hidden)
    if choices.strip_hidden:
        pages = [_without_hidden(page) for page in pages]
    content = _content(pages, broken, source, read_metadata(path, password))
    content = replace(content, pieces=with_pictures(path, password, pages, content.pieces))
    if by_ocr:
        content = replace(
            content,
            parser=f"{content.parser}+{reader.name if reader else ''}",
            metadata={**content.metadata, "ocr_pages": str(len(by_ocr))},
        )
    return replace(content, hidden=hidden)


def _with_colours(pages: list[Page], white: dict[int, list[Box]]) -> list[Page]:
    """The pages with every word hidden that lies in a box of white text."""

    def marked(word: Word, boxes: list[Box]) -> Word:
        return replace(word, is_hidden=True) if any(b.holds(word.box) for b in boxes) else word

    return [
        replace(page, words=tuple(marked(word, white[page.number]) for word in page.words))
        if page.number in white
        else page
        for page in pages
    ]


def _without_hidden(page: Page) -> Page:
    return replace(page, words=tuple(word for word in page.words if not word.is_hidden))


def _read(
    path: Path, password: str | None, report: Callable[..., None]
) -> tuple[PdfSource, list[Page]]:
    try:
        source = PdfSource(path, password)
    except (RuntimeError, ValueError) as exc:
        raise corrupt("docling can not load the PDF") from exc
    pages = [page for page in source.pages(report) if page is not None]
    if not pages:
        raise corrupt("none of its pages can be decoded")
    return source, pages


def _content(
    pages: list[Page], broken: list[int], source: PdfSource, facts: dict[str, str]
) -> Content:
    empty = [page.number for page in pages if page.is_scan]
    warnings = (f"pages_not_decoded: {', '.join(map(str, broken[:20]))}",) if broken else ()
    title = facts.get("Title", "").strip()
    return Content(
        assemble(pages, source.outline()),
        page_count=source.page_count,
        title=None if not title or _DULL_TITLE.search(title) else title,
        author=facts.get("Author"),
        created_at=_date(facts.get("CreationDate", "")),
        empty_pages=tuple(sorted(empty + broken)),
        warnings=warnings,
        parser="docling-parse/native",
        metadata=_more(facts),
    )


def _more(facts: dict[str, str]) -> dict[str, str]:
    """What else the file says about itself, by our names."""
    found = {ours: facts.get(theirs, "").strip("\0 ")[:500] for theirs, ours in _FACTS.items()}
    found["modified_at"] = _date(facts.get("ModDate", "")) or ""
    return {name: value for name, value in found.items() if value}


def _date(text: str) -> str | None:
    found = _DATE.match(text)
    if not found:
        return None
    parts = [found[i] for i in range(1, 4) if found[i]]
    return "-".join(parts)
