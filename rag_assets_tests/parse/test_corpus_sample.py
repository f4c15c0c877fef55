"""A fixed sample of the shared documents, each with the outcome it must have."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.parse.ocr import OcrConfig, find_tesseract
from rag.parse.pool import DoclingParser
from rag.ports import ParseJob

DATA = Path(os.environ.get("RAG_TEST_DATA", "../shared/data")) / "documents"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.data,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"no shared documents at {DATA}"),
]
KEY = ("asdfzxcv",)


@pytest.fixture(scope="module")
def parser() -> Iterator[DoclingParser]:
    with DoclingParser(workers=2, ocr=OcrConfig("off")) as pool:
        yield pool


@pytest.mark.parametrize(
    ("name", "passwords", "expected"),
    [
        ("pypdf-encryption/r2-user-password.pdf", (), "password_required"),
        ("pypdf-encryption/r2-user-password.pdf", KEY, ""),
        ("pypdf-encryption/r3-user-password.pdf", ("wrong", *KEY), ""),
        ("pypdf-encryption/r4-aes-user-password.pdf", ("wrong",), "password_wrong"),
        ("pypdf-encryption/r5-user-password.pdf", KEY, ""),
        ("pypdf-encryption/r6-user-password.pdf", KEY, ""),
        ("pypdf-encryption/r6-both-passwords.pdf", ("foo",), ""),
        ("pypdf-encryption/r6-owner-password.pdf", (), ""),
        ("docling/pdf_password/2206.01062_pg3.pdf", ("1234",), ""),
        ("docling/pages/pages_password_protected.pages", (), "password_required"),
        ("docling/ocr/ocr_test.pdf", (), "no_text"),
        ("docling/tiff/2206.01062.tif", (), "no_text"),
        ("markitdown/test_files.zip", (), "unsupported_type"),
        ("docling/docx/lorem_ipsum.docx", (), ""),
        ("docling/epub/epub_purvis_poetry.epub", (), ""),
        ("docling/jats/elife-56337.nxml", (), ""),
        ("docling/uspto/pftaps057006474.txt", (), ""),
        ("markitdown/test_outlook_msg.msg", (), ""),
        ("markitdown/test_mskanji.csv", (), ""),
    ],
)
def test_the_file_ends_as_expected(
    parser: DoclingParser, name: str, passwords: tuple[str, ...], expected: str
) -> None:
    path = DATA / name
    (found,) = parser.parse([ParseJob(1, path, path.name, passwords)])
    assert (found.error.code if found.error else "") == expected
    assert (found.document is None) == bool(expected)


def test_two_column_latex_is_read_column_by_column(parser: DoclingParser) -> None:
    path = DATA / "py-pdf-sample-files/026-latex-multicolumn/multicolumn.pdf"
    (found,) = parser.parse([ParseJob(1, path, path.name)])
    assert found.document is not None
    assert found.document.page_count == 3


def test_a_japanese_code_page_is_read(parser: DoclingParser) -> None:
    path = DATA / "markitdown/test_mskanji.csv"
    (found,) = parser.parse([ParseJob(1, path, path.name)])
    assert found.document is not None
    assert "佐藤太郎" in found.document.text


@pytest.mark.skipif(find_tesseract() is None, reason="tesseract is not installed")
@pytest.mark.parametrize("name", ["ocr_test.pdf", "ocr_test_rotated_90.pdf"])
def test_a_scan_is_read_by_ocr_inside_the_sandbox(name: str) -> None:
    path = DATA / "docling/ocr" / name
    with DoclingParser(workers=1, ocr=OcrConfig("tesseract")) as pool:
        (found,) = pool.parse([ParseJob(1, path, path.name)])
    assert found.document is not None
    assert "Docling bundles PDF document conversion" in found.document.text
    assert found.document.parser.endswith("+tesseract")


def test_the_files_attached_to_a_real_mail_come_out(parser: DoclingParser, tmp_path: Path) -> None:
    path = DATA / "mail/attachment_pdf.eml"
    attached = parser.attachments(ParseJob(1, path, path.name), tmp_path)
    assert [a.path.read_bytes()[:5] for a in attached] == [b"%PDF-"]
