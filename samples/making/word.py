"""DOCX documents: headings, paragraphs, lists and ruled tables."""

from __future__ import annotations

import io
from typing import Any

from docx import Document
from docx.oxml.ns import qn
from docx.shared import Cm, Pt, RGBColor

from making.blocks import Block, Heading, Items, Note, Paragraph, Source, Table, bold_spans
from making.office import set_properties, with_fixed_times

PINE = RGBColor(0x1F, 0x4E, 0x4A)
INNER_CM = 16.0
LANGUAGES = {"en": "en-GB", "de": "de-CH", "fr": "fr-CH"}


def make_docx(source: Source) -> bytes:
    """The DOCX of a source."""
    doc = Document()
    meta = source.meta
    _prepare(doc, meta)
    doc.add_heading(meta["title"], 0)
    doc.add_paragraph(meta["subtitle"], style="Subtitle")
    for block in source.blocks:
        _add(doc, block)
    set_properties(doc.core_properties, meta)
    out = io.BytesIO()
    doc.save(out)
    return with_fixed_times(out.getvalue(), meta)


def _prepare(doc: Any, meta: dict[str, str]) -> None:
    """Fonts, colours, the language, and the footer."""
    doc.styles["Normal"].font.size = Pt(10.5)
    for name in ("Title", "Heading 1", "Heading 2"):
        doc.styles[name].font.color.rgb = PINE
    language = doc.styles.element.find(".//" + qn("w:lang"))
    language.set(qn("w:val"), LANGUAGES[meta.get("lang", "en")])
    page = doc.sections[0]
    page.page_width, page.page_height = Cm(21), Cm(29.7)
    page.left_margin = page.right_margin = Cm(2.5)
    page.footer.paragraphs[0].text = f"Bergbahnen Lärchgrat AG | {meta['title']}"


def _add(doc: Any, block: Block) -> None:
    """One block at the end of the document."""
    match block:
        case Heading(level, text):
            doc.add_heading(text, level)
        case Paragraph(text):
            _runs(doc.add_paragraph(), text)
        case Note(text):
            _runs(doc.add_paragraph(style="Intense Quote"), text)
        case Items(entries, ordered):
            for entry in entries:
                _runs(doc.add_paragraph(style="List Number" if ordered else "List Bullet"), entry)
        case Table():
            _table(doc, block)
        case _:
            raise ValueError(f"a DOCX has no place for {block}")


def _runs(paragraph: Any, text: str) -> None:
    for piece, bold in bold_spans(text):
        paragraph.add_run(piece).bold = bold


def _table(doc: Any, block: Table) -> None:
    """A ruled table with a bold first row and columns as wide as their text asks."""
    table = doc.add_table(rows=len(block.rows), cols=len(block.rows[0]), style="Table Grid")
    for i, row in enumerate(block.rows):
        for cell, text in zip(table.rows[i].cells, row, strict=True):
            _runs(cell.paragraphs[0], f"**{text}**" if i == 0 and text else text)
    for column, width in zip(table.columns, _widths(block), strict=True):
        column.width = width
        for cell in column.cells:
            cell.width = width
    doc.add_paragraph()


def _widths(block: Table) -> list[int]:
    """The width of each column: by its longest cell, within bounds."""
    longest = [max(len(cell) for cell in column) for column in zip(*block.rows, strict=True)]
    shares = [min(max(n, 9), 40) for n in longest]
    return [Cm(INNER_CM * share / sum(shares)) for share in shares]
