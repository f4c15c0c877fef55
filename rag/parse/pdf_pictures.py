"""Pictures on the pages of a PDF, set aside to be described. Runs in the child."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rag.model import BlockKind
from rag.parse import pictures
from rag.parse.pdf_page import Page
from rag.parse.pieces import Piece

_MAX_PIXELS = 30_000_000
_WHOLE_PAGE = 0.8  # a scan of the page, whose words are read by other means


def with_pictures(
    path: Path, password: str | None, pages: Sequence[Page], pieces: Sequence[Piece]
) -> tuple[Piece, ...]:
    """`pieces` and, after those of each page, the marks of its pictures."""
    if not pictures.is_wanted():
        return tuple(pieces)
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(path, password=password)
    except pypdfium2.PdfiumError:
        return tuple(pieces)
    found: list[Piece] = []
    try:
        for page in pages:
            if page.images:
                found += _pictures_of(document, page)
    finally:
        document.close()
    # stable: a page's own pieces stay before its pictures
    return tuple(sorted([*pieces, *found], key=lambda piece: piece.page_last or piece.page or 0))


def _pictures_of(document: Any, page: Page) -> Iterator[Piece]:
    import pypdfium2
    import pypdfium2.raw

    sheet = document[page.number - 1]
    try:
        for item in sheet.get_objects(filter=[pypdfium2.raw.FPDF_PAGEOBJ_IMAGE], max_depth=3):
            width, height = item.get_px_size()
            if width * height > _MAX_PIXELS or _covers(item, page):
                continue
            number = pictures.put(item.get_bitmap(render=False).to_pil())
            if number is not None:
                yield Piece(BlockKind.FIGURE, pictures.mark(number), page.number)
    except (pypdfium2.PdfiumError, ValueError, OSError):
        return  # what can not be decoded is not described
    finally:
        sheet.close()


def _covers(item: Any, page: Page) -> bool:
    left, bottom, right, top = item.get_bounds()
    return bool((right - left) * (top - bottom) > _WHOLE_PAGE * page.width * page.height)
