"""What files say about themselves arrives: title, author, dates, keywords."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from rag.model import ParsedDocument
from rag.parse.child_config import ChildConfig
from rag.parse.cleaning import CleaningConfig
from rag.parse.convert import parse_file
from rag.parse.limits import ParseLimits
from rag.parse.ocr import OcrConfig
from rag.parse.properties import read_properties

pytestmark = pytest.mark.slow  # imports docling


def parse(path: Path) -> ParsedDocument:
    config = ChildConfig(ParseLimits(), CleaningConfig(), path.parent, None, OcrConfig("off"))
    return parse_file(path, path.name, (), config, lambda **_: None)


def word_file(path: Path, title: str) -> Path:
    from docx import Document

    document = Document()
    document.add_heading("Tariffs of the lift", level=1)
    document.add_paragraph("The day pass is sold at the valley station until noon of every day.")
    properties = document.core_properties
    properties.title, properties.author = title, "Ann Example"
    properties.keywords, properties.last_modified_by = "lift, tariff", "Bob"
    properties.created = datetime(2024, 3, 1, 8, 30, tzinfo=UTC)
    properties.modified = datetime(2025, 4, 2, 9, 0, tzinfo=UTC)
    document.save(str(path))
    return path


def test_a_word_files_properties_are_kept(tmp_path: Path) -> None:
    document = parse(word_file(tmp_path / "a.docx", "Tariffs 2025"))
    assert (document.title, document.author) == ("Tariffs 2025", "Ann Example")
    assert document.created_at == "2024-03-01T08:30:00Z"
    assert document.language == "en"
    assert document.metadata["modified_at"] == "2025-04-02T09:00:00Z"
    assert document.metadata["keywords"] == "lift, tariff"
    assert document.metadata["last_modified_by"] == "Bob"


@pytest.mark.parametrize("title", ["Word Document", "Microsoft Word - final.docx", "Untitled", ""])
def test_a_title_that_says_nothing_gives_way_to_the_heading(tmp_path: Path, title: str) -> None:
    assert parse(word_file(tmp_path / "a.docx", title)).title == "Tariffs of the lift"


def test_a_pdfs_information_is_kept(tmp_path: Path) -> None:
    from reportlab.pdfgen.canvas import Canvas

    canvas = Canvas(str(tmp_path / "a.pdf"))
    canvas.setTitle("Rules of the hut")
    canvas.setAuthor("Ann Example")
    canvas.setSubject("House rules")
    canvas.setKeywords("hut, rules")
    canvas.drawString(72, 700, "Shoes are left at the door of the house, and the fire is not.")
    canvas.save()
    document = parse(tmp_path / "a.pdf")
    assert (document.title, document.author) == ("Rules of the hut", "Ann Example")
    assert document.metadata["subject"] == "House rules"
    assert document.metadata["keywords"] == "hut, rules"


def test_bytes_that_are_no_package_have_no_properties() -> None:
    assert read_properties(b"PK\x03\x04 broken") == read_properties(b"")
