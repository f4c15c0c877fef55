"""Attachments come out as files of their own, and nothing but their bytes is believed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path

import pytest

from rag.errors import PolicyError
from rag.parse.attachments import Head, extract, take
from rag.parse.limits import ParseLimits
from rag.parse.pool import DoclingParser
from rag.ports import ParseJob

LIMITS = ParseLimits()


def mail(*files: tuple[str, bytes]) -> bytes:
    message = EmailMessage()
    message["From"], message["To"] = "ann@example.com", "bob@example.com"
    message["Subject"], message["Message-ID"] = "Figures", "<1@example.com>"
    message.set_content("The figures are attached.")
    for name, data in files:
        message.add_attachment(data, maintype="application", subtype="pdf", filename=name)
    return message.as_bytes()


def written(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "mail"
    path.write_bytes(data)
    return path


def test_each_attachment_becomes_a_file_under_its_number(tmp_path: Path) -> None:
    path = written(tmp_path, mail(("a.pdf", b"one"), ("../../etc/b.pdf", b"second")))
    heads = extract(path, "x.eml", (), LIMITS, tmp_path)
    assert [(head.name, head.size_bytes) for head in heads] == [("a.pdf", 3), ("b.pdf", 6)]
    assert (tmp_path / "1").read_bytes() == b"second"


def test_attachments_of_a_forwarded_mail_are_found(tmp_path: Path) -> None:
    inner = EmailMessage()
    inner["Subject"], inner["From"] = "Inner", "eve@example.com"
    inner.set_content("See below.")
    inner.add_attachment(b"deep", maintype="image", subtype="png", filename="deep.png")
    outer = EmailMessage()
    outer["Subject"], outer["From"] = "Outer", "ann@example.com"
    outer.set_content("Forwarded.")
    outer.add_attachment(inner)
    path = written(tmp_path, outer.as_bytes())
    (head,) = extract(path, "x.eml", (), LIMITS, tmp_path)
    assert head == Head("deep.png", "image/png", 4)


def test_signatures_and_pictures_in_the_text_are_no_attachments(tmp_path: Path) -> None:
    message = EmailMessage()
    message["From"], message["Subject"] = "ann@example.com", "Logo"
    message.set_content("Plain.")
    message.add_alternative("<p>Rich <img src='cid:logo'></p>", subtype="html")
    message.get_payload()[1].add_related(b"pixels", "image", "png", cid="<logo>")  # type: ignore[union-attr, index]
    message.add_attachment(b"sig", maintype="application", subtype="pkcs7-signature", filename="s")
    message.add_attachment(b"chart", maintype="image", subtype="png", filename="chart.png")
    (head,) = extract(written(tmp_path, message.as_bytes()), "x.eml", (), LIMITS, tmp_path)
    assert head.name == "chart.png"


def test_more_attachments_than_allowed_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, mail(*[(f"{i}.pdf", b"x") for i in range(4)]))
    with pytest.raises(PolicyError) as caught:
        extract(path, "x.eml", (), replace(LIMITS, attachments=3), tmp_path)
    assert caught.value.code == "too_many_attachments"


def test_a_text_file_has_no_attachments(tmp_path: Path) -> None:
    path = written(tmp_path, b"plain text")
    assert extract(path, "x.txt", (), LIMITS, tmp_path) == []


def test_links_and_lies_about_the_size_are_left_out(tmp_path: Path) -> None:
    folder, target = tmp_path / "out", tmp_path / "in"
    folder.mkdir()
    target.mkdir()
    secret = tmp_path / "secret"
    secret.write_text("s3cret", encoding="utf-8")
    (folder / "0").symlink_to(secret)
    os.link(secret, folder / "1")
    (folder / "2").write_bytes(b"longer than said")
    (folder / "3").write_bytes(b"fine")
    os.mkfifo(folder / "4")
    heads = [Head("f", "text/plain", size) for size in (6, 6, 4, 4, 0)]
    assert [a.ordinal for a in take(folder, heads, target)] == [3]
    assert (target / "3").read_bytes() == b"fine"


@pytest.fixture
def parser() -> Iterator[DoclingParser]:
    with DoclingParser(workers=1) as pool:
        yield pool


@pytest.mark.slow
def test_the_parser_gives_text_names_and_files_of_a_mail(
    parser: DoclingParser, tmp_path: Path
) -> None:
    path = written(tmp_path, mail(("a.pdf", b"one"), ("b.pdf", b"two")))
    job = ParseJob(1, path, "x.eml")
    (found,) = parser.parse([job])
    assert found.document is not None
    assert found.document.metadata["message_id"] == "<1@example.com>"
    assert json.loads(found.document.metadata["attachment_names"]) == ["a.pdf", "b.pdf"]
    folder = tmp_path / "attached"
    folder.mkdir()
    attached = parser.attachments(job, folder)
    assert [(a.name, a.path.read_bytes()) for a in attached] == [
        ("a.pdf", b"one"),
        ("b.pdf", b"two"),
    ]
