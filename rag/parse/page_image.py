"""One page of a PDF as a picture, with a passage marked. `draw` runs in the confined child only;
`read_image` is what the parent believes of its answer.
"""

from __future__ import annotations

import base64
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from rag.errors import ConflictError, NotFoundError, RagError
from rag.parse import wire

PNG = b"\x89PNG\r\n\x1a\n"
_WIDTH = 1200  # pixels
_LARGEST_SCALE = 3.0
_MOST_PIXELS = 4_000_000
_MOST_CHARACTERS = 60_000  # of one page's text
_GRAM = 3  # so many words in a row are a trace of the passage
_RUN = 5  # so many marked words in a row are the passage
_COLOUR = (255, 232, 120)
_WORD = re.compile(r"\w+")


class PageImage(NamedTuple):
    """A page as PNG; `marked_at` is where the first mark is, as a share of the height."""

    png: bytes
    marked_at: float | None


class Word(NamedTuple):
    """A word of a page: its letters, folded, and where its characters lie."""

    text: str
    start: int
    end: int


def draw(path: Path, page: int, passage: str) -> dict[str, object]:
    """Page `page` (from 1) as PNG with the words of `passage` marked. Raises ConflictError
    (`page_not_shown`), NotFoundError (`page_not_found`)."""
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as exc:
        raise not_shown() from exc
    if not 1 <= page <= len(document):
        raise NotFoundError(f"The document has no page {page}.", code="page_not_found")
    sheet = document[page - 1]
    width, height = sheet.get_size()
    scale = min(_LARGEST_SCALE, _WIDTH / width, (_MOST_PIXELS / (width * height)) ** 0.5)
    bitmap = sheet.render(scale=scale, may_draw_forms=False)
    corners = bitmap.get_posconv(sheet)
    boxes = [_on_bitmap(corners, box) for box in _boxes(sheet, passage)]
    picture = _marked(bitmap.to_pil().convert("RGB"), boxes)
    out = BytesIO()
    picture.save(out, "PNG", optimize=False, compress_level=6)
    marked_at = min(top for _, top, _, _ in boxes) / picture.height if boxes else None
    return {"image": base64.b64encode(out.getvalue()).decode("ascii"), "marked_at": marked_at}


def not_shown() -> ConflictError:
    """The one word on pages that can not be drawn."""
    return ConflictError(
        "This page can not be drawn: read the passage as text.", code="page_not_shown"
    )


def _boxes(sheet: Any, passage: str) -> list[tuple[float, float, float, float]]:
    """The places of the passage on the page, line by line, in the page's own units."""
    layer = sheet.get_textpage()
    text = layer.get_text_range(0, min(layer.count_chars(), _MOST_CHARACTERS))
    found: list[tuple[float, float, float, float]] = []
    for start, end in runs(words(text), [word.text for word in words(passage)]):
        count = layer.count_rects(start, end - start)
        found += [layer.get_rect(index) for index in range(count)]
    return found


def words(text: str) -> list[Word]:
    """The words of a text, folded so that ligatures, accents and case do not matter."""
    return [Word(_folded(found[0]), *found.span()) for found in _WORD.finditer(text)]


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in plain if not unicodedata.combining(letter))


def runs(page: Sequence[Word], passage: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Spans of the page's text that repeat the passage, whatever the order of its columns."""
    gram = min(_GRAM, len(passage))
    known = set(_grams(passage, gram))
    if not gram or not known:
        return
    is_marked = [False] * len(page)
    for at, found in enumerate(_grams([word.text for word in page], gram)):
        if found in known:
            is_marked[at : at + gram] = [True] * gram
    at = 0
    while at < len(page):
        last = at
        while last < len(page) and is_marked[last]:
            last += 1
        if last - at >= min(_RUN, len(passage)):
            yield page[at].start, page[last - 1].end
        at = max(last, at + 1)


def _grams(texts: Sequence[str], size: int) -> Iterable[tuple[str, ...]]:
    return zip(*(texts[offset:] for offset in range(size)), strict=False)


def _on_bitmap(corners: Any, box: tuple[float, float, float, float]) -> tuple[int, int, int, int]:
    left, bottom, right, top = box
    (x0, y0), (x1, y1) = corners.to_bitmap(left, top), corners.to_bitmap(right, bottom)
    return (min(x0, x1) - 2, min(y0, y1) - 2, max(x0, x1) + 2, max(y0, y1) + 2)


def _marked(picture: Any, boxes: Sequence[tuple[int, int, int, int]]) -> Any:
    """The picture as if a marker pen had gone over it: what is dark stays dark."""
    from PIL import Image, ImageChops, ImageDraw

    pen = Image.new("RGB", picture.size, (255, 255, 255))
    canvas = ImageDraw.Draw(pen)
    for box in boxes:
        canvas.rectangle(box, fill=_COLOUR)
    return ImageChops.multiply(picture, pen)


def read_image(body: bytes) -> PageImage | RagError:
    """The picture of a child's answer. Raises BrokenFrame on what is none."""
    try:
        value = json.loads(body)
        if "error" in value:
            return wire.read_error(body)
        image = base64.b64decode(value["image"], validate=True)
        marked_at = None if value["marked_at"] is None else float(value["marked_at"])
    except (ValueError, KeyError, TypeError) as exc:
        raise wire.BrokenFrame("the result is no picture") from exc
    if not image.startswith(PNG):
        raise wire.BrokenFrame("the result is no PNG")
    return PageImage(image, marked_at)
