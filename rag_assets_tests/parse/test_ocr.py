"""Pages and images without text: read by OCR when there is one, named when there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont
from reportlab.pdfgen.canvas import Canvas

from rag.errors import ConfigurationError, RagError
from rag.model import ParsedDocument
from rag.parse import ocr as ocr_module
from rag.parse.child_config import ChildConfig
from rag.parse.cleaning import CleaningConfig
from rag.parse.convert import parse_file
from rag.parse.limits import ParseLimits
from rag.parse.ocr import OcrConfig, find_tesseract, ocr_of
from rag.parse.pdf_page import Box, Page, Word
from rag.parse.pool import parser_config
from rag.parse.scans import convert_image

needs_tesseract = pytest.mark.skipif(
    find_tesseract() is None, reason="tesseract is not installed (apt install tesseract-ocr)"
)
OFF = OcrConfig("off")


def parse(path: Path, ocr: OcrConfig = OFF) -> ParsedDocument:
    config = ChildConfig(ParseLimits(), CleaningConfig(), path.parent, None, ocr)
    return parse_file(path, path.name, (), config, lambda **_: None)


def scan(path: Path, *texts: str, turned: int = 0) -> Path:
    image = Image.new("L", (1700, 700), 255)
    pen = ImageDraw.Draw(image)
    for row, text in enumerate(texts):
        pen.text((80, 80 + 90 * row), text, 0, font=ImageFont.load_default(size=52))
    image.rotate(turned, expand=True).save(path)
    return path


def pdf_with_scan(tmp_path: Path, *texts: str) -> Path:
    canvas = Canvas(str(tmp_path / "s.pdf"))
    canvas.drawString(72, 700, "The first page has a text layer of its own.")
    canvas.showPage()
    canvas.drawImage(str(scan(tmp_path / "s.png", *texts)), 40, 400, 510, 210)
    canvas.save()
    return tmp_path / "s.pdf"


def test_without_ocr_the_pages_are_named_and_the_document_is_partial(tmp_path: Path) -> None:
    document = parse(pdf_with_scan(tmp_path, "Hidden in pixels"))
    assert document.is_partial
    assert document.warnings == (
        "pages_without_text: 1 pages gave no text (they need OCR, which is off): 2",
    )


def test_without_ocr_an_image_says_how_to_turn_it_on(tmp_path: Path) -> None:
    with pytest.raises(RagError, match="install Tesseract") as caught:
        parse(scan(tmp_path / "s.png", "Hidden"))
    assert caught.value.code == "no_text"


@needs_tesseract
@pytest.mark.slow
def test_a_scanned_page_is_read_in_its_place(tmp_path: Path) -> None:
    lines = ("The harbour master signed the", "order of the third of March.")
    document = parse(pdf_with_scan(tmp_path, *lines), OcrConfig("tesseract"))
    assert not document.is_partial
    read = [document.text[b.start : b.end] for b in document.blocks if b.page_first == 2]
    assert " ".join(read) == " ".join(lines)
    assert document.parser.endswith("+tesseract")
    assert document.metadata["ocr_pages"] == "1"


@needs_tesseract
@pytest.mark.slow
@pytest.mark.parametrize("turned", [90, 180, 270])
def test_a_turned_image_is_read_upright(tmp_path: Path, turned: int) -> None:
    texts = ("Seven heavy barrels of tar", "stand beside the northern gate", "of the old warehouse")
    document = parse(scan(tmp_path / "s.png", *texts, turned=turned), OcrConfig("tesseract"))
    assert "northern gate" in document.text
    assert document.media_type == "image/png"


@needs_tesseract
@pytest.mark.slow
def test_a_picture_without_letters_stays_without_text(tmp_path: Path) -> None:
    Image.new("RGB", (400, 400), "red").save(tmp_path / "red.png")
    with pytest.raises(RagError, match="OCR found none") as caught:
        parse(tmp_path / "red.png", OcrConfig("tesseract"))
    assert caught.value.code == "no_text"


@needs_tesseract
@pytest.mark.slow
def test_a_language_that_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="xyz") as caught:
        parse(scan(tmp_path / "s.png", "Text"), OcrConfig("tesseract", ("xyz",)))
    assert caught.value.code == "ocr_missing"


class Fake:
    """An OCR that finds the same word on every frame."""

    name = "fake"

    def words(self, image: Any, dpi: float) -> tuple[tuple[Word, ...], int]:
        assert dpi > 0
        return (Word(f"{image.width > 0}", Box(0, 0, 40, 10), 10),), 0


def test_any_engine_can_stand_behind_the_port(tmp_path: Path) -> None:
    content = convert_image(scan(tmp_path / "s.png", "x"), Fake(), 300, lambda **_: None)
    assert [piece.text for piece in content.pieces] == ["True"]
    assert content.parser == "image/fake"


def test_ocr_asked_for_and_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr_module, "find_tesseract", lambda: None)
    assert ocr_of(OcrConfig("auto")) is None
    with pytest.raises(ConfigurationError) as caught:
        ocr_of(OcrConfig("tesseract"))
    assert caught.value.code == "ocr_missing"


def test_ocr_and_its_languages_name_the_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr_module, "find_tesseract", lambda: "/usr/bin/tesseract")
    monkeypatch.setattr(ocr_module, "tesseract_version", lambda: "5.3.0")
    choices = (OFF, OcrConfig("auto"), OcrConfig("tesseract", ("deu",)))
    named = [parser_config(ParseLimits(), CleaningConfig(), None, c)["ocr"] for c in choices]
    assert named == [
        "off",
        {"tesseract": "5.3.0", "languages": ["eng"], "dpi": 300},
        {"tesseract": "5.3.0", "languages": ["deu"], "dpi": 300},
    ]


@pytest.mark.parametrize(
    ("page", "is_scan"),
    [
        (Page(1, 600, 800, (), images=(Box(0, 0, 600, 800),)), True),
        (Page(1, 600, 800, (), drawn=500), True),
        (Page(1, 600, 800, (), drawn=3), False),
        (Page(1, 600, 800, (Word("x", Box(0, 0, 5, 9), 9),), images=(Box(0, 0, 9, 9),)), False),
    ],
)
def test_a_page_is_a_scan_when_it_shows_something_and_has_no_text(
    page: Page, is_scan: bool
) -> None:
    assert page.is_scan is is_scan
