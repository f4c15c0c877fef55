"""Encrypted PDF and office files open with a collection's passwords, and ask for them by name."""

from __future__ import annotations

import io
from pathlib import Path

import msoffcrypto.format.ooxml
import pypdf
import pytest
from docx import Document
from reportlab.pdfgen.canvas import Canvas

from rag.errors import ConfigurationError
from rag.parse.child_config import ChildConfig
from rag.parse.cleaning import CleaningConfig
from rag.parse.convert import parse_file
from rag.parse.limits import ParseLimits
from rag.ports import ParseJob

pytestmark = pytest.mark.slow

TEXT = "The reserve key hangs in the upper station."
KEY = "gr\u00fcn 7"


def locked_docx() -> bytes:
    plain, locked = io.BytesIO(), io.BytesIO()
    document = Document()
    document.add_paragraph(TEXT)
    document.save(plain)
    msoffcrypto.format.ooxml.OOXMLFile(plain).encrypt(KEY, locked)
    return locked.getvalue()


def locked_pdf() -> bytes:
    plain, locked = io.BytesIO(), io.BytesIO()
    canvas = Canvas(plain)
    canvas.drawString(72, 700, TEXT)
    canvas.save()
    writer = pypdf.PdfWriter(plain)
    writer.encrypt(KEY, algorithm="AES-256")
    writer.write(locked)
    return locked.getvalue()


MAKERS = {"x.docx": locked_docx, "x.pdf": locked_pdf}


def parse(folder: Path, name: str, *passwords: str) -> str:
    path = folder / "in"
    path.write_bytes(MAKERS[name]())
    config = ChildConfig(ParseLimits(), CleaningConfig(), folder)
    return parse_file(path, name, passwords, config, lambda **_: None).text


@pytest.mark.parametrize("name", MAKERS)
def test_one_of_several_passwords_opens_the_file(tmp_path: Path, name: str) -> None:
    assert parse(tmp_path, name, "wrong", KEY) == TEXT
    assert [path.name for path in tmp_path.iterdir()] == ["in"]  # nothing stays in the clear


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize(
    ("passwords", "code"), [((), "password_required"), (("wrong", ""), "password_wrong")]
)
def test_without_the_right_password_the_message_names_the_setting(
    tmp_path: Path, name: str, passwords: tuple[str, ...], code: str
) -> None:
    with pytest.raises(ConfigurationError, match="setting document_passwords") as caught:
        parse(tmp_path, name, *passwords)
    assert caught.value.code == code


def test_a_job_does_not_show_its_passwords() -> None:
    assert KEY not in repr(ParseJob(1, Path("x"), "x", (KEY,)))
