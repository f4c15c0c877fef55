"""PDF files read through docling's native parser, page by page. Runs in the child."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from rag.parse.archives import corrupt
from rag.parse.pdf_page import Box, Page, Word

PASSWORD_ERROR = 4  # FPDF_ERR_PASSWORD
_BOLD = re.compile(r"bold|black|heavy|semibold|demi|SFBX|CMBX|\bBX|-Bd|\.B\b", re.IGNORECASE)
_MONO = re.compile(r"mono|courier|consol|CMTT|SFTT|typewriter|menlo|inconsolata", re.IGNORECASE)
_ITALIC = re.compile(r"italic|oblique|SFTI|CMTI|-It\b", re.IGNORECASE)
_SYMBOLS = re.compile(r"symbol|dingbat|wingding", re.IGNORECASE)
_THIN = 3.0
_INVISIBLE = 3  # text rendering mode of ISO 32000, 9.3.6
_BACKGROUND = 0.45  # of the page's area
_UNREADABLE = 1.6  # points


class Outline(NamedTuple):
    """One bookmark: its title and depth from 1."""

    title: str
    level: int


def count_pages(path: Path, password: str | None) -> int:
    """Pages by the page tree. Raises PdfiumError (err_code 4: the password is wrong)."""
    import pypdfium2

    document = pypdfium2.PdfDocument(path, password=password)
    try:
        return len(document)
    finally:
        document.close()


def count_repaired_pages(path: Path) -> int:
    """Pages of a damaged file as docling's parser repairs it. Raises PoisonError (`corrupt_file`)
    when it finds none."""
    try:
        count = PdfSource(path, None).page_count
    except (RuntimeError, ValueError) as exc:
        raise corrupt("no PDF reader can open it") from exc
    if count < 1:
        raise corrupt("it has no pages")
    return count


def read_metadata(path: Path, password: str | None) -> dict[str, str]:
    """The document information dictionary; empty where it can not be read."""
    import pypdfium2

    with suppress(pypdfium2.PdfiumError, UnicodeError):
        document = pypdfium2.PdfDocument(path, password=password)
        try:
            return {key: value for key, value in document.get_metadata_dict().items() if value}
        finally:
            document.close()
    return {}


def _unheard(**_: int) -> None:
    """For pages whose progress nobody follows."""


class PdfSource:
    """An open PDF. Pages are decoded one at a time and let go again."""

    def __init__(self, path: Path, password: str | None) -> None:
        from docling_parse.pdf_parser import ContentConfig, ContentLevel, DoclingPdfParser

        parser = DoclingPdfParser(loglevel="fatal")
        self._document: Any = parser.load(path, lazy=True, password=password)
        self._content = ContentConfig(
            char_cells_content_level=ContentLevel.COMPUTE,
            word_cells_content_level=ContentLevel.COMPUTE_AND_MATERIALIZE,
            line_cells_content_level=ContentLevel.SKIP,
            include_bitmap_bytes=False,
        )
        self.page_count = int(self._document.number_of_pages())

    def pages(self, report: Callable[..., None] = _unheard) -> Iterator[Page | None]:
        """All pages in order, each reported before it is decoded; None for one that can not be."""
        for number in range(1, self.page_count + 1):
            report(page=number)
            yield self._page(number)
            self._document.unload_pages((number, number + 1))

    def outline(self) -> tuple[Outline, ...]:
        """The bookmarks in order; empty when there are none that can be read."""
        with suppress(RuntimeError, ValueError, KeyError, TypeError):
            root = self._document.get_table_of_contents()
            if root is not None:
                return tuple(_flatten(root.children or [], 1))
        return ()

    def _page(self, number: int) -> Page | None:
        try:
            raw = self._document.get_page(number, content_config=self._content)
        except (RuntimeError, ValueError, IndexError):
            return None
        size = raw.dimension
        crop = size.crop_bbox
        frame = _Frame(crop.l, max(crop.t, crop.b))
        images = tuple(frame.box(_corners(b.rect)) for b in raw.bitmap_resources)
        flat, sideways = _words(raw.word_cells, frame, images)
        across, upright = _rules(raw.shapes, frame, abs(crop.r - crop.l) * abs(crop.t - crop.b))
        width, height = abs(crop.r - crop.l), abs(crop.t - crop.b)
        return Page(number, width, height, flat, sideways, across, upright, images, len(raw.shapes))


class _Frame(NamedTuple):
    left: float
    top: float

    def box(self, points: list[tuple[float, float]]) -> Box:
        xs = [x - self.left for x, _ in points]
        ys = [self.top - y for _, y in points]
        return Box(min(xs), min(ys), max(xs), max(ys))


def _corners(rect: Any) -> list[tuple[float, float]]:
    return [
        (rect.r_x0, rect.r_y0),
        (rect.r_x1, rect.r_y1),
        (rect.r_x2, rect.r_y2),
        (rect.r_x3, rect.r_y3),
    ]


def _words(
    cells: list[Any], frame: _Frame, images: tuple[Box, ...]
) -> tuple[tuple[Word, ...], tuple[Word, ...]]:
    flat, sideways = [], []
    for cell in cells:
        text = cell.text.strip()
        if not text:
            continue
        rect = cell.rect
        box = frame.box(_corners(rect))
        word = _word(text, box, cell.font_name or "", _is_hidden(cell, box, images))
        if abs(rect.r_y1 - rect.r_y0) > abs(rect.r_x1 - rect.r_x0):
            turn = 1 if rect.r_y1 > rect.r_y0 else -1  # the file's y grows upwards
            sideways.append(replace(word, size=box.width, turn=turn))
        else:
            flat.append(word)
    return tuple(flat), tuple(sideways)


def _is_hidden(cell: Any, box: Box, images: tuple[Box, ...]) -> bool:
    """True for a font too small to be read, and for invisible text that lies over no image: over
    one it is the layer that OCR made."""
    if box.height <= _UNREADABLE:
        return True
    invisible = cell.rendering_mode.value == _INVISIBLE
    return invisible and not any(image.holds(box, 2.0) for image in images)


def _word(text: str, box: Box, font: str, is_hidden: bool = False) -> Word:
    """A word; a lone sign of a symbol font is a bullet, whatever its code."""
    if len(text) == 1 and _SYMBOLS.search(font) and not text.isdigit():
        text = "\u2022"
    bold, mono, italic = (bool(p.search(font)) for p in (_BOLD, _MONO, _ITALIC))
    return Word(text, box, box.height, font, bold, mono, italic, is_hidden)


def _rules(
    shapes: list[Any], frame: _Frame, page_area: float
) -> tuple[tuple[Box, ...], tuple[Box, ...]]:
    """Straight thin strokes and thin filled boxes, and the edges of larger boxes; a box as large
    as the page is its background."""
    across, upright = [], []
    for shape in shapes:
        points = [(p.x, p.y) for p in shape.points]
        if len(points) < 2 or len(points) > 8:
            continue
        box = frame.box(points)
        if box.width * box.height > _BACKGROUND * page_area:
            continue
        if box.height <= _THIN and box.width > 8:
            across.append(box)
        elif box.width <= _THIN and box.height > 4:
            upright.append(box)
        elif box.width > 8 and box.height > 4 and _is_rectangle(points):
            across += [Box(box.x0, y, box.x1, y) for y in (box.y0, box.y1)]
            upright += [Box(x, box.y0, x, box.y1) for x in (box.x0, box.x1)]
    return tuple(across), tuple(upright)


def _is_rectangle(points: list[tuple[float, float]]) -> bool:
    return len({round(x) for x, _ in points}) == 2 and len({round(y) for _, y in points}) == 2


def _flatten(entries: list[Any], level: int) -> Iterator[Outline]:
    for entry in entries:
        title = " ".join((entry.text or "").split())
        if title:
            yield Outline(title, level)
        yield from _flatten(entry.children or [], level + 1)
