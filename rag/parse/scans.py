"""Pages and images without a text layer, read by OCR. Runs in the child."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from rag.model import BlockKind
from rag.parse import pictures
from rag.parse.archives import corrupt
from rag.parse.ocr import Ocr
from rag.parse.pdf_page import Page
from rag.parse.pieces import Content, Piece

_MAX_PIXELS = 30_000_000
_MAX_FRAMES = 500
_FEW_PIXELS = 2000  # along the longer side: a page scanned at less than 200 dpi
_MAX_FACTOR = 4.0
_POINTS_PER_INCH = 72.0


def read_empty_pages(
    path: Path,
    password: str | None,
    pages: list[Page],
    ocr: Ocr,
    dpi: int,
    report: Callable[..., None],
) -> tuple[list[Page], list[int]]:
    """`pages` with the words OCR finds on those that have none but show something; and the numbers
    of those that got words."""
    wanted = [page.number for page in pages if page.is_scan]
    if not wanted:
        return pages, []
    import pypdfium2

    report(ocr_pages=len(wanted))
    result, read = [], []
    try:
        document = pypdfium2.PdfDocument(path, password=password)
    except pypdfium2.PdfiumError:
        return pages, []
    try:
        for page in pages:
            if page.is_scan:
                report(page=page.number)
                page = _with_words(document, page, ocr, dpi)
                if page.words:
                    read.append(page.number)
            result.append(page)
    finally:
        document.close()
    return result, read


def _with_words(document: Any, page: Page, ocr: Ocr, dpi: int) -> Page:
    import pypdfium2

    try:
        sheet = document[page.number - 1]
        try:
            area = max(1.0, sheet.get_width() * sheet.get_height())
            scale = min(dpi / _POINTS_PER_INCH, math.sqrt(_MAX_PIXELS / area))
            image = sheet.render(scale=scale, grayscale=True).to_pil()
        finally:
            sheet.close()
    except (pypdfium2.PdfiumError, ValueError, IndexError):
        return page
    words, turned = ocr.words(image.convert("L"), scale * _POINTS_PER_INCH)
    if not words:
        return page
    sideways = turned in (90, 270)
    width, height = (s / scale for s in (image.size[::-1] if sideways else image.size))
    return replace(page, words=words, width=width, height=height, images=())


def convert_image(path: Path, ocr: Ocr | None, dpi: int, report: Callable[..., None]) -> Content:
    """The text of an image file, one page per frame. Without OCR every frame is an empty page."""
    from PIL import Image

    from rag.parse.pdf_assembly import assemble

    try:
        with Image.open(path) as image:
            count = min(getattr(image, "n_frames", 1), _MAX_FRAMES)
            media_type = Image.MIME.get(image.format or "", "image/*")
            number = pictures.put(image) if pictures.is_wanted() else None
            pages = []
            if ocr is not None:
                report(pages=count, ocr_pages=count)
                pages = list(_frames(image, count, ocr, dpi, report))
    except (OSError, ValueError, TypeError, LookupError, SyntaxError, EOFError) as exc:
        raise corrupt("the image can not be decoded") from exc
    found = {page.number for page in pages if page.words}
    seen = () if number is None else (Piece(BlockKind.FIGURE, pictures.mark(number), 1),)
    return Content(
        (*assemble(pages, ()), *seen),
        page_count=count,
        empty_pages=tuple(n for n in range(1, count + 1) if n not in found),
        parser=f"image/{ocr.name}" if ocr else "image",
        media_type=media_type,
        metadata={"ocr_pages": str(len(found))} if found else {},
    )


def _readable(frame: Any) -> Any:
    """The frame at a size OCR reads well: small ones enlarged, huge ones reduced."""
    from PIL import Image

    few = max(frame.size) < _FEW_PIXELS
    wanted = min(_MAX_FACTOR, 1.25 * _FEW_PIXELS / max(frame.size)) if few else 1.0
    factor = min(wanted, math.sqrt(_MAX_PIXELS / max(1, frame.width * frame.height)))
    if factor == 1.0:
        return frame
    size = max(1, round(frame.width * factor)), max(1, round(frame.height * factor))
    return frame.resize(size, Image.Resampling.BICUBIC)


def _frames(
    image: Any, count: int, ocr: Ocr, dpi: int, report: Callable[..., None]
) -> Iterator[Page]:
    for index in range(count):
        report(page=index + 1)
        image.seek(index)
        frame = _readable(image.convert("L"))
        words, turned = ocr.words(frame, dpi)
        scale = _POINTS_PER_INCH / dpi
        size = frame.size[::-1] if turned in (90, 270) else frame.size
        yield Page(index + 1, size[0] * scale, size[1] * scale, words)
