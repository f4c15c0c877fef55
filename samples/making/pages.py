"""PDF pages: a manual, a report, a memo, and a bulletin in two columns."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import cm
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    FrameBreak,
    KeepTogether,
    ListFlowable,
    ListItem,
    NextPageTemplate,
    PageBreak,
    PageTemplate,
    Spacer,
)
from reportlab.platypus import Paragraph as Text
from reportlab.platypus import Table as Grid

from making.blocks import (
    Bars,
    Block,
    Break,
    Heading,
    Items,
    Note,
    Paragraph,
    Source,
    Table,
    bold_spans,
)
from making.charts import bar_chart

PINE = colors.HexColor("#1f4e4a")
MIST = colors.HexColor("#e8eeec")
COMPANY = "Bergbahnen Lärchgrat AG"
WIDTH, HEIGHT = A4
MARGIN = 2.2 * cm
GAP = 0.8 * cm
INNER = WIDTH - 2 * MARGIN
COLUMN = (INNER - GAP) / 2

BODY = ParagraphStyle("body", fontName="Times-Roman", fontSize=10.5, leading=14, spaceAfter=6)
CELL = ParagraphStyle("cell", fontName="Helvetica", fontSize=8.5, leading=10.5)
HEAD_CELL = ParagraphStyle("head-cell", parent=CELL, fontName="Helvetica-Bold")
CAPTION = ParagraphStyle("caption", parent=CELL, fontName="Helvetica-Oblique", spaceAfter=3)
NOTE = ParagraphStyle(
    "note", parent=BODY, backColor=MIST, borderPadding=6, spaceBefore=8, spaceAfter=12
)
TITLE = ParagraphStyle("title", fontName="Helvetica-Bold", fontSize=19, leading=23, textColor=PINE)
SUBTITLE = ParagraphStyle("subtitle", fontName="Helvetica", fontSize=11, leading=15, spaceAfter=10)
HEADINGS = (
    ParagraphStyle("h1", parent=TITLE, fontSize=13.5, leading=17, spaceBefore=10, spaceAfter=4),
    ParagraphStyle("h2", parent=TITLE, fontSize=11, leading=14, spaceBefore=6, spaceAfter=3),
)


def make_pdf(source: Source) -> bytes:
    """The PDF of a source, laid out as its front matter asks."""
    out = io.BytesIO()
    meta = source.meta
    doc = BaseDocTemplate(
        out,
        pagesize=A4,
        title=meta.get("subject", meta["title"]),
        author=meta["author"],
        lang=meta.get("lang", "en"),
        invariant=1,
    )
    doc.addPageTemplates(_templates(meta))
    doc.build([*_opening(meta), *_flow(source)])
    return out.getvalue()


def _opening(meta: dict[str, str]) -> list[Flowable]:
    """The title of a document, or the head of a memo."""
    story: list[Flowable] = [Text(escape(meta["title"]), TITLE)]
    if meta["layout"] == "memo":
        names = ("to", "from", "date", "subject")
        rows = [[Text(n.capitalize(), HEAD_CELL), Text(escape(meta[n]), CELL)] for n in names]
        return [*story, Spacer(1, 8), Grid(rows, colWidths=[2 * cm, INNER - 2 * cm]), Spacer(1, 14)]
    story.append(Text(escape(meta["subtitle"]), SUBTITLE))
    if meta["layout"] == "columns":
        story += [NextPageTemplate("table-on-top"), FrameBreak()]
    return story


def _flow(source: Source) -> Iterator[Flowable]:
    """The blocks as flowables; a heading stays with what follows it."""
    narrow = source.meta["layout"] == "columns"
    after_page_break = False
    for block in source.blocks:
        full = not narrow or after_page_break
        after_page_break = isinstance(block, Break) and block.kind == "page"
        yield from _flowables(block, INNER if full else COLUMN)


def _flowables(block: Block, width: float) -> list[Flowable]:
    """One block on the page."""
    match block:
        case Heading(level, text):
            style = HEADINGS[level - 1]
            return [Text(escape(text), style.clone(style.name, keepWithNext=1))]
        case Paragraph(text):
            return [Text(_markup(text), BODY)]
        case Note(text):
            return [Text(_markup(text), NOTE)]
        case Items():
            return [_list(block)]
        case Table():
            return [KeepTogether([*_caption(block.caption), _grid(block, width), Spacer(1, 10)])]
        case Bars(caption, values):
            return [KeepTogether([*_caption(caption), bar_chart(values, width), Spacer(1, 10)])]
        case Break(kind):
            return [PageBreak() if kind == "page" else FrameBreak()]


def _caption(text: str) -> list[Flowable]:
    return [Text(escape(text), CAPTION)] if text else []


def _markup(text: str) -> str:
    """The text in the page library's own markup."""
    return "".join(f"<b>{escape(t)}</b>" if bold else escape(t) for t, bold in bold_spans(text))


def _list(block: Items) -> ListFlowable:
    style = BODY.clone("item", spaceAfter=3)
    return ListFlowable(
        [ListItem(Text(_markup(entry), style)) for entry in block.entries],
        bulletType="1" if block.ordered else "bullet",
        bulletFontSize=9,
        bulletFormat="%s." if block.ordered else None,
        start=None if block.ordered else "•",
        leftIndent=16,
    )


def _grid(block: Table, width: float) -> Grid:
    """A ruled table whose columns are as wide as their text asks."""
    head, *body = block.rows
    rows = [[Text(_markup(c), HEAD_CELL) for c in head]]
    rows += [[Text(_markup(c), CELL) for c in row] for row in body]
    grid = Grid(rows, colWidths=_column_widths(block, width), repeatRows=1)
    grid.setStyle(
        [
            ("GRID", (0, 0), (-1, -1), 0.5, colors.grey),
            ("BACKGROUND", (0, 0), (-1, 0), MIST),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("TOPPADDING", (0, 0), (-1, -1), 3),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
        ]
    )
    return grid


def _column_widths(block: Table, width: float) -> list[float]:
    """Room for the longest word of each column, the rest shared by length of text."""
    columns = list(zip(*block.rows, strict=True))
    least = [
        max(_text_width(word) for cell in col for word in cell.split() or [""]) + 14
        for col in columns
    ]
    wish = [min(max(_text_width(cell) for cell in col) + 14, width / 2) for col in columns]
    extra = [max(w - low, 0.1) for w, low in zip(wish, least, strict=True)]
    spare = width - sum(least)
    return [low + spare * e / sum(extra) for low, e in zip(least, extra, strict=True)]


def _text_width(text: str) -> float:
    return float(stringWidth(text, HEAD_CELL.fontName, HEAD_CELL.fontSize))


def _templates(meta: dict[str, str]) -> list[PageTemplate]:
    """The page templates of a layout; the first is that of the first page."""

    def decorate(canvas: Any, _doc: Any) -> None:
        _decorate(canvas, meta)

    if meta["layout"] != "columns":
        frame = Frame(MARGIN, MARGIN, INNER, HEIGHT - 2 * MARGIN, 0, 0, 0, 0)
        return [PageTemplate("plain", [frame], onPage=decorate)]
    first = _column_frames(top=2.3 * cm)
    later = _column_frames(top=8.2 * cm)
    return [
        PageTemplate("title-on-top", first, onPage=decorate),
        PageTemplate("table-on-top", later, onPage=decorate),
    ]


def _column_frames(top: float) -> list[Frame]:
    """A frame over the full width, and two columns beneath it."""
    height = HEIGHT - 2 * MARGIN - top
    right = MARGIN + COLUMN + GAP
    return [
        Frame(MARGIN, MARGIN + height, INNER, top, 0, 0, 0, 0),
        Frame(MARGIN, MARGIN, COLUMN, height, 0, 0, 0, 0),
        Frame(right, MARGIN, COLUMN, height, 0, 0, 0, 0),
    ]


def _decorate(canvas: Any, meta: dict[str, str]) -> None:
    """The running header and the footer with its page number."""
    header = meta.get("header", COMPANY)
    footer = meta.get("footer", "")
    canvas.saveState()
    canvas.setFont("Helvetica", 8)
    canvas.setFillColor(colors.grey)
    canvas.drawString(MARGIN, HEIGHT - 1.4 * cm, header)
    canvas.line(MARGIN, HEIGHT - 1.55 * cm, WIDTH - MARGIN, HEIGHT - 1.55 * cm)
    canvas.drawString(MARGIN, 1.2 * cm, footer)
    canvas.drawRightString(WIDTH - MARGIN, 1.2 * cm, f"Page {canvas.getPageNumber()}")
    canvas.restoreState()
