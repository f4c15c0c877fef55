"""A PDF as content: docling's layout pipeline when its models are at hand, else our own assembly
of what docling's native parser reads. Runs in the child."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from rag.parse.archives import corrupt
from rag.parse.pdf_assembly import assemble
from rag.parse.pdf_page import Page
from rag.parse.pdf_source import PdfSource, read_metadata
from rag.parse.pieces import Content

_DATE = re.compile(r"D:(\d{4})(\d{2})?(\d{2})?(\d{2})?(\d{2})?(\d{2})?")
_DULL_TITLE = re.compile(
    r"untitled|microsoft word|powerpoint|\.(docx?|pdf|tex|dvi|indd|qxd)$", re.I
)


def convert_pdf(
    path: Path, password: str | None, artifacts: str | None, report: Callable[..., None]
) -> Content:
    """The content of the PDF. Raises PoisonError (`corrupt_file`) when it can not be decoded."""
    if artifacts is not None:
        from rag.parse.pdf_layout import convert_with_layout

        return convert_with_layout(path, password, artifacts)
    return _convert_native(path, password, report)


def _convert_native(path: Path, password: str | None, report: Callable[..., None]) -> Content:
    try:
        source = PdfSource(path, password)
    except (RuntimeError, ValueError) as exc:
        raise corrupt("docling can not load the PDF") from exc
    pages: list[Page] = []
    broken: list[int] = []
    for number, page in enumerate(source.pages(), 1):
        if page is None:
            broken.append(number)
        else:
            pages.append(page)
        report(page=number)
    if not pages:
        raise corrupt("none of its pages can be decoded")
    return _content(pages, broken, source, read_metadata(path, password))


def _content(
    pages: list[Page], broken: list[int], source: PdfSource, facts: dict[str, str]
) -> Content:
    empty = [page.number for page in pages if not page.words and page.images]
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
    )


def _date(text: str) -> str | None:
    found = _DATE.match(text)
    if not found:
        return None
    parts = [found[i] for i in range(1, 4) if found[i]]
    return "-".join(parts)
