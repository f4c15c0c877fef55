"""The PDF assembly on pages drawn for it: order, paragraphs, headings, tables, furniture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from rag.model import Block, BlockKind, ParsedDocument
from rag.parse.child_config import ChildConfig
from rag.parse.cleaning import CleaningConfig
from rag.parse.convert import parse_file
from rag.parse.limits import ParseLimits
from rag.parse.pdf_text import flow

pytestmark = pytest.mark.slow
PROSE = (
    "The committee met in the spring and agreed on a plan that would change how the records",
    "of the town are kept, read and handed on to those who come after us in later years, as",
    "every member had asked for since the first of these meetings was held in the old hall.",
)


def draw(path: Path, paint: Callable[[Canvas], None]) -> ParsedDocument:
    canvas = Canvas(str(path), pagesize=A4)
    paint(canvas)
    canvas.save()
    config = ChildConfig(ParseLimits(), CleaningConfig(), path.parent)
    return parse_file(path, path.name, (), config, lambda **_: None)


def text_of(document: ParsedDocument, block: Block) -> str:
    return document.text[block.start : block.end]


def of_kind(document: ParsedDocument, kind: BlockKind) -> list[str]:
    return [text_of(document, b) for b in document.blocks if b.kind is kind]


def lines(canvas: Canvas, x: float, y: float, texts: tuple[str, ...], size: float = 10) -> float:
    canvas.setFont("Helvetica", size)
    for text in texts:
        canvas.drawString(x, y, text)
        y -= 1.25 * size
    return y


def test_two_columns_are_read_one_after_the_other(tmp_path: Path) -> None:
    left = tuple(f"left column line number {i} goes on here" for i in range(12))
    right = tuple(f"right column line number {i} goes on too" for i in range(12))

    def paint(canvas: Canvas) -> None:
        canvas.setFont("Helvetica-Bold", 18)
        canvas.drawString(60, 760, "A title that spans both columns of the page")
        lines(canvas, 60, 700, left)
        lines(canvas, 310, 700, right)

    text = draw(tmp_path / "two.pdf", paint).text
    assert text.index("A title") < text.index("left column line number 0")
    assert text.index("left column line number 11") < text.index("right column line number 0")


def test_paragraphs_headings_lists_and_mended_hyphens(tmp_path: Path) -> None:
    def paint(canvas: Canvas) -> None:
        canvas.setFont("Helvetica-Bold", 16)
        canvas.drawString(60, 760, "1 Introduction")
        y = lines(canvas, 60, 730, (*PROSE, "It was an extra-", "ordinary decision."))
        y = lines(canvas, 60, y - 12, PROSE)
        lines(canvas, 60, y - 8, ("• first point", "• second point"))

    document = draw(tmp_path / "p.pdf", paint)
    assert of_kind(document, BlockKind.HEADING) == ["1 Introduction"]
    paragraphs = of_kind(document, BlockKind.PARAGRAPH)
    assert len(paragraphs) == 2
    assert paragraphs[0].endswith("It was an extraordinary decision.")
    assert of_kind(document, BlockKind.LIST_ITEM) == ["- first point", "- second point"]


@pytest.mark.parametrize("is_ruled", [True, False])
def test_a_table_becomes_markdown_with_its_header(tmp_path: Path, is_ruled: bool) -> None:
    rows = [
        ("Name", "Year", "Weight"),
        ("Alpha", "2019", "12.5"),
        ("Beta", "2020", "7.25"),
        ("Gamma", "2021", "3.75"),
    ]

    def paint(canvas: Canvas) -> None:
        lines(canvas, 60, 780, PROSE)
        canvas.setFont("Helvetica", 10)
        for i, row in enumerate(rows):
            for j, cell in enumerate(row):
                canvas.drawString(66 + 120 * j, 700 - 20 * i, cell)
        if is_ruled:
            canvas.grid([60, 180, 300, 420], [714, 694, 674, 654, 634])
        lines(canvas, 60, 560, PROSE)

    document = draw(tmp_path / "t.pdf", paint)
    (table,) = of_kind(document, BlockKind.TABLE)
    assert table.splitlines()[0] == "| Name | Year | Weight |"
    assert table.splitlines()[2:] == [
        "| Alpha | 2019 | 12.5 |",
        "| Beta | 2020 | 7.25 |",
        "| Gamma | 2021 | 3.75 |",
    ]


def test_running_heads_and_page_numbers_are_left_out(tmp_path: Path) -> None:
    def paint(canvas: Canvas) -> None:
        for number in range(1, 6):
            canvas.setFont("Helvetica", 9)
            canvas.drawString(60, 815, "The Annual Report of the Town")
            canvas.drawString(290, 25, str(number))
            lines(canvas, 60, 740, (f"Page {number} begins here.", *PROSE))
            canvas.showPage()

    document = draw(tmp_path / "h.pdf", paint)
    assert "Annual Report" not in document.text
    assert [b.page_first for b in document.blocks] == [1, 2, 3, 4, 5]
    assert document.page_count == 5


def test_a_paragraph_goes_on_over_the_page_break(tmp_path: Path) -> None:
    def paint(canvas: Canvas) -> None:
        lines(canvas, 60, 200, PROSE[:2])
        canvas.showPage()
        lines(canvas, 60, 760, PROSE[2:])

    document = draw(tmp_path / "c.pdf", paint)
    (block,) = document.blocks
    assert (block.page_first, block.page_last) == (1, 2)


def test_a_page_without_text_makes_the_document_partial(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (40, 40), "red").save(tmp_path / "i.png")

    def paint(canvas: Canvas) -> None:
        lines(canvas, 60, 760, PROSE)
        canvas.showPage()
        canvas.drawImage(str(tmp_path / "i.png"), 60, 300, 400, 400)

    document = draw(tmp_path / "s.pdf", paint)
    assert document.is_partial
    (warning,) = document.warnings
    assert warning.startswith("pages_without_text: 1 pages gave no text")
    assert warning.endswith(": 2")


@pytest.mark.parametrize(
    ("parts", "known", "joined"),
    [
        (["an exam-", "ple"], frozenset(), "an example"),
        (["well-", "known facts"], frozenset({"well-known"}), "well-known facts"),
        (["the Anglo-", "Saxon"], frozenset(), "the Anglo-Saxon"),
        (["日本", "語"], frozenset(), "日本語"),
        (["Notices . . . . . . . . vii"], frozenset(), "Notices ... vii"),
    ],
)
def test_lines_flow_into_text(parts: list[str], known: frozenset[str], joined: str) -> None:
    assert flow(parts, known) == joined


def test_a_sign_that_does_a_bullets_work_becomes_one(tmp_path: Path) -> None:
    def paint(canvas: Canvas) -> None:
        y = lines(canvas, 60, 760, PROSE)
        for text in ("First the ropes", "Then the boats", "At last the men"):
            canvas.setFont("Times-Roman", 10)
            canvas.drawString(60, y, "\u00a5")
            canvas.setFont("Helvetica", 10)
            canvas.drawString(80, y, text)
            y -= 14

    document = draw(tmp_path / "b.pdf", paint)
    wanted = ["- First the ropes", "- Then the boats", "- At last the men"]
    assert of_kind(document, BlockKind.LIST_ITEM) == wanted


def test_a_price_is_no_bullet(tmp_path: Path) -> None:
    def paint(canvas: Canvas) -> None:
        lines(canvas, 60, 760, ("The day pass is \u00a5 40 and the night pass is \u00a5 30.",))

    assert "is \u00a5 40 and" in draw(tmp_path / "p.pdf", paint).text


def ruled(canvas: Canvas, merged: bool) -> None:
    lines(canvas, 60, 760, PROSE)
    for y in (600, 620, 640, 660):
        canvas.line(60, y, 360, y)
    for x in (60, 160, 260, 360):
        canvas.line(x, 600, x, 640 if merged and x in (160, 260) else 660)
    canvas.setFont("Helvetica", 9)
    if merged:
        canvas.drawString(66, 646, "Departures of the boat on every working day of summer")
    else:
        for x, text in zip((66, 166, 266), ("Pier", "Out", "Back"), strict=True):
            canvas.drawString(x, 646, text)
    for y, row in ((626, ("North", "8:00", "9:30")), (606, ("South", "8:15", "9:45"))):
        for x, text in zip((66, 166, 266), row, strict=True):
            canvas.drawString(x, y, text)


@pytest.mark.parametrize(
    ("merged", "head"),
    [
        (False, "| Pier | Out | Back |"),
        (True, "| Departures of the boat on every working day of summer | | |"),
    ],
)
def test_text_is_cut_only_where_a_rule_is_drawn(tmp_path: Path, merged: bool, head: str) -> None:
    document = draw(tmp_path / "g.pdf", lambda canvas: ruled(canvas, merged))
    (table,) = of_kind(document, BlockKind.TABLE)
    assert " ".join(table.splitlines()[0].split()) == head
    assert table.splitlines()[2:] == ["| North | 8:00 | 9:30 |", "| South | 8:15 | 9:45 |"]


@pytest.mark.parametrize("is_grid", [True, False])
def test_a_heading_between_a_running_heads_rule_and_a_table_is_no_row(
    tmp_path: Path, is_grid: bool
) -> None:
    def paint(canvas: Canvas) -> None:
        canvas.line(72, 760, 472, 760)
        canvas.setFont("Helvetica-Bold", 16)
        canvas.drawString(72, 730, "3 Wind")
        lines(canvas, 72, 700, ("The limits apply to the ten-second gust at the station.",))
        for row, cells in enumerate((("Line", "Stop at"), ("A", "70"), ("B", "65"))):
            for x, text in zip((80, 280), cells, strict=True):
                canvas.drawString(x, 664 - 20 * row, text)
        for y in (680, 660, 640, 620) if is_grid else (680, 660, 620):
            canvas.line(72, y, 472, y)
        for x in (72, 272, 472) if is_grid else ():
            canvas.line(x, 680, x, 620)
        lines(canvas, 72, 590, ("Below the table the text goes on for one more line.",))

    document = draw(tmp_path / "h.pdf", paint)
    assert of_kind(document, BlockKind.HEADING) == ["3 Wind"]
    (table,) = of_kind(document, BlockKind.TABLE)
    assert table.splitlines() == ["| Line | Stop at |", "| --- | --- |", "| A | 70 |", "| B | 65 |"]


def test_a_frame_around_the_page_is_no_table(tmp_path: Path) -> None:
    def paint(canvas: Canvas) -> None:
        canvas.rect(20, 20, 555, 800)
        ruled(canvas, False)

    document = draw(tmp_path / "f.pdf", paint)
    assert len(of_kind(document, BlockKind.TABLE)) == 1
    assert of_kind(document, BlockKind.PARAGRAPH) == [" ".join(PROSE)]


@pytest.mark.parametrize("turn", [90, -90])
def test_text_on_its_side_is_read_and_not_lost(tmp_path: Path, turn: int) -> None:
    def paint(canvas: Canvas) -> None:
        lines(canvas, 60, 760, PROSE)
        canvas.saveState()
        canvas.translate(300, 400)
        canvas.rotate(turn)
        canvas.drawString(0, 0, "Depth in fathoms at low water")
        canvas.restoreState()

    assert "Depth in fathoms at low water" in draw(tmp_path / "s.pdf", paint).text


def test_a_stamp_on_the_edge_is_left_out(tmp_path: Path) -> None:
    def paint(canvas: Canvas) -> None:
        lines(canvas, 60, 760, PROSE)
        canvas.translate(25, 300)
        canvas.rotate(90)
        canvas.drawString(0, 0, "archive:2206.01062v1 2 Jun 2022")

    assert "archive" not in draw(tmp_path / "s.pdf", paint).text


def test_lists_side_by_side_are_read_one_after_the_other(tmp_path: Path) -> None:
    def paint(canvas: Canvas) -> None:
        for row in range(4):
            lines(canvas, 60, 700 - 16 * row, (f"{row + 1}. Port {row + 1}",))
            lines(canvas, 320, 700 - 16 * row, (f"{row + 1}. Ship {row + 1}",))

    items = of_kind(draw(tmp_path / "l.pdf", paint), BlockKind.LIST_ITEM)
    assert items == [f"{i}. {what} {i}" for what in ("Port", "Ship") for i in range(1, 5)]


def test_a_raised_figure_stays_on_its_line(tmp_path: Path) -> None:
    def paint(canvas: Canvas) -> None:
        lines(canvas, 60, 760, PROSE)
        canvas.setFont("Helvetica", 10)
        canvas.drawString(60, 700, "The area is 12 km")
        canvas.setFont("Helvetica", 5.5)
        canvas.drawString(60 + canvas.stringWidth("The area is 12 km", "Helvetica", 10), 705, "2")

    assert "The area is 12 km2" in draw(tmp_path / "r.pdf", paint).text
