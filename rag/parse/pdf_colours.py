"""Where a PDF page draws letters in the colour of the paper. Runs in the child.

Docling's native parser tells no colours of words; PDFium's page objects do. Letters inside form
objects are not looked at, and no picture of the page is made.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any, NamedTuple

from rag.parse.pdf_page import Box

_PAPER = 245  # of 255: as light as this is white to a reader
_MANY = 20_000  # objects on a page beyond which it is a drawing; not looked through


class _Thing(NamedTuple):
    kind: int
    is_light: bool
    box: Box


def white_words(path: Path, password: str | None, pages: int) -> dict[int, list[Box]]:
    """By page number: the boxes of text drawn in white with nothing dark behind it. Pages that
    PDFium can not read have none."""
    import pypdfium2

    found: dict[int, list[Box]] = {}
    try:
        document = pypdfium2.PdfDocument(path, password=password)
    except pypdfium2.PdfiumError:
        return {}
    try:
        for number in range(1, min(pages, len(document)) + 1):
            try:
                sheet = document[number - 1]
            except pypdfium2.PdfiumError:
                continue
            try:
                boxes = _white_on_paper(sheet)
            finally:
                sheet.close()
            if boxes:
                found[number] = boxes
    finally:
        document.close()
    return found


def _white_on_paper(sheet: Any) -> list[Box]:
    from pypdfium2 import raw

    count = raw.FPDFPage_CountObjects(sheet.raw)
    if count > _MANY:
        return []
    handles = [raw.FPDFPage_GetObject(sheet.raw, index) for index in range(count)]
    is_text = [raw.FPDFPageObj_GetType(h) == raw.FPDF_PAGEOBJ_TEXT for h in handles]
    light = [text and _is_light(h) for h, text in zip(handles, is_text, strict=True)]
    if not any(light):
        return []
    left, _, _, top = sheet.get_cropbox()
    grounds: list[Box] = []
    white: list[Box] = []
    for handle, text, pale in zip(handles, is_text, light, strict=True):
        if text and not pale:
            continue
        box = _box(handle, left, top)
        if text and not any(ground.holds(box, 1.0) for ground in grounds):
            white.append(box)
        elif not text and not _is_paper(handle):
            grounds.append(box)
    return white


def _is_paper(handle: Any) -> bool:
    """True for a path that leaves what lies behind it white: not filled, or filled white."""
    from pypdfium2 import raw

    if raw.FPDFPageObj_GetType(handle) != raw.FPDF_PAGEOBJ_PATH:
        return False  # an image, a shading or a form may be dark
    mode, stroked = ctypes.c_int(), ctypes.c_int()
    raw.FPDFPath_GetDrawMode(handle, mode, stroked)
    return mode.value == 0 or _is_light(handle)


def _is_light(handle: Any) -> bool:
    from pypdfium2 import raw

    parts = [ctypes.c_uint() for _ in range(4)]
    known = raw.FPDFPageObj_GetFillColor(handle, *parts)
    return bool(known) and all(part.value >= _PAPER for part in parts[:3])


def _box(handle: Any, left: float, top: float) -> Box:
    from pypdfium2 import raw

    x0, y0, x1, y1 = (ctypes.c_float() for _ in range(4))
    raw.FPDFPageObj_GetBounds(handle, x0, y0, x1, y1)
    return Box(x0.value - left, top - y1.value, x1.value - left, top - y0.value)
