"""PPTX decks: a title slide, then one slide for each heading, with speaker notes."""

from __future__ import annotations

import io
from typing import Any

from pptx import Presentation
from pptx.dml.color import RGBColor
from pptx.enum.text import PP_ALIGN
from pptx.util import Inches, Pt

from making.blocks import Block, Heading, Items, Note, Source, Table
from making.office import set_properties, with_fixed_times

PINE = RGBColor(0x1F, 0x4E, 0x4A)
WIDE, HIGH = Inches(13.333), Inches(7.5)
LEFT, INNER = Inches(0.8), Inches(11.7)
TITLE_SLIDE, BULLETS, TITLE_ONLY = 0, 1, 5


def make_pptx(source: Source) -> bytes:
    """The PPTX of a source."""
    deck = Presentation()
    deck.slide_width, deck.slide_height = WIDE, HIGH
    first, *rest = _slides(source)
    slide = deck.slides.add_slide(deck.slide_layouts[TITLE_SLIDE])
    _place(slide.shapes.title, source.meta["title"], Inches(2.4), Pt(44))
    _place(slide.placeholders[1], source.meta["subtitle"], Inches(4), Pt(22))
    _fill(slide, first)
    for blocks in rest:
        _content_slide(deck, blocks)
    set_properties(deck.core_properties, source.meta)
    out = io.BytesIO()
    deck.save(out)
    return with_fixed_times(out.getvalue(), source.meta)


def _slides(source: Source) -> list[list[Block]]:
    """The blocks cut at the headings; the first part belongs to the title slide."""
    slides: list[list[Block]] = [[]]
    for block in source.blocks:
        if isinstance(block, Heading):
            slides.append([])
        slides[-1].append(block)
    return slides


def _content_slide(deck: Any, blocks: list[Block]) -> None:
    """One slide with a title and either bullets or a table."""
    heading, *rest = blocks
    has_list = any(isinstance(block, Items) for block in rest)
    slide = deck.slides.add_slide(deck.slide_layouts[BULLETS if has_list else TITLE_ONLY])
    assert isinstance(heading, Heading)
    _place(slide.shapes.title, heading.text, Inches(0.5), Pt(32))
    _fill(slide, rest)


def _place(shape: Any, text: str, top: int, size: int) -> None:
    """Put a title or subtitle at its place, flush left."""
    shape.left, shape.top, shape.width, shape.height = LEFT, top, INNER, Inches(1.1)
    shape.text_frame.text = text
    paragraph = shape.text_frame.paragraphs[0]
    paragraph.alignment = PP_ALIGN.LEFT
    paragraph.font.size = size
    paragraph.font.color.rgb = PINE


def _fill(slide: Any, blocks: list[Block]) -> None:
    """The bullets, the table and the notes of one slide."""
    for block in blocks:
        match block:
            case Items(entries):
                _bullets(slide.placeholders[1], entries)
            case Table():
                _table(slide, block)
            case Note(text):
                slide.notes_slide.notes_text_frame.text = text
            case _:
                raise ValueError(f"a slide has no place for {block}")


def _bullets(shape: Any, entries: tuple[str, ...]) -> None:
    shape.left, shape.top, shape.width, shape.height = LEFT, Inches(1.8), INNER, Inches(5)
    frame = shape.text_frame
    for i, entry in enumerate(entries):
        paragraph = frame.paragraphs[0] if i == 0 else frame.add_paragraph()
        paragraph.text = entry
        paragraph.font.size = Pt(24)
        paragraph.space_after = Pt(10)


def _table(slide: Any, block: Table) -> None:
    """A native table over the width of the slide."""
    rows, columns = len(block.rows), len(block.rows[0])
    height = Inches(0.48) * rows
    table = slide.shapes.add_table(rows, columns, LEFT, Inches(1.8), INNER, height).table
    for i, row in enumerate(block.rows):
        for j, text in enumerate(row):
            cell = table.cell(i, j)
            cell.text = text
            cell.text_frame.paragraphs[0].font.size = Pt(16)
            if i == 0:
                cell.fill.solid()
                cell.fill.fore_color.rgb = PINE
