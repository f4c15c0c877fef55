"""Small hostile files through the real children: each ends with its own code, inside its budget,
and the worker does not grow."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from rag.parse.limits import MIB, ParseLimits
from rag.parse.pool import DoclingParser
from rag.ports import ParseJob, ParseOutcome

pytestmark = pytest.mark.slow
LIMITS = ParseLimits(wall_s=25, memory_bytes=600 * MIB)
KEY = "open sesame"
W = "xmlns:w='http://schemas.openxmlformats.org/wordprocessingml/2006/main'"


@pytest.fixture(scope="module")
def parser() -> Iterator[DoclingParser]:
    with DoclingParser(LIMITS, workers=1) as pool:
        yield pool


def pdf(content: bytes, filters: str) -> bytes:
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R>>",
        b"<</Length %d/Filter%s>>stream\n%s\nendstream" % (len(content), filters.encode(), content),
    ]
    out = bytearray(b"%PDF-1.4\n")
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    tail = (
        b"xref\n0 5\n0000000000 65535 f \n%strailer<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF"
    )
    return bytes(out) + tail % (table, len(out))


def squeezed(data: bytes, times: int) -> bytes:
    for _ in range(times):
        data = zlib.compress(data, 9)
    return data


def archive(*members: tuple[str, bytes | str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in members:
            made.writestr(name, data)
    return out.getvalue()


def docx(body: str, *more: tuple[str, bytes | str], part: str = "word/document.xml") -> bytes:
    types = (
        "<Types xmlns='http://schemas.openxmlformats.org/package/2006/content-types'><Default "
        "Extension='rels' ContentType='application/vnd.openxmlformats-package.relationships+xml'/>"
        f"<Override PartName='/{part}' ContentType='application/vnd.openxmlformats-officedocument."
        "wordprocessingml.document.main+xml'/></Types>"
    )
    return archive(("[Content_Types].xml", types), (part, body), *more)


def paragraphs(count: int) -> str:
    return f"<w:document {W}><w:body>{'<w:p/>' * count}</w:body></w:document>"


def nested_zip(depth: int) -> bytes:
    data = archive(("word/document.xml", "<x/>"))
    for _ in range(depth):
        data = archive(("word/document.xml", "<x/>"), ("word/embeddings/inner.zip", data))
    return data


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    body = zlib.compress(bytes(1000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def entities(kind: str) -> str:
    laughs = "".join(f"<!ENTITY e{i} '{f'&e{i - 1};' * 10 if i else 'boom'}'>" for i in range(12))
    declared = {
        "laughs": laughs,
        "long": f"<!ENTITY e11 '{'x' * 50_000}'>",
        "file": "<!ENTITY e11 SYSTEM 'file:///etc/passwd'>",
    }[kind]
    text = "&e11;" * 3
    return (
        f"<?xml version='1.0'?><!DOCTYPE d [{declared}]><w:document {W}><w:body><w:p><w:r><w:t>"
        f"{text}</w:t></w:r></w:p></w:body></w:document>"
    )


def overlapping() -> bytes:
    """Two entries of the directory that point to one compressed body."""
    data = bytearray(archive(("word/document.xml", "<x/>"), ("word/b.xml", "<x/>")))
    second = data.rfind(b"PK\x01\x02")
    struct.pack_into("<I", data, second + 42, 0)
    return bytes(data)


def link() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr("word/document.xml", "<x/>")
        entry = zipfile.ZipInfo("word/link")
        entry.external_attr = 0o120777 << 16
        made.writestr(entry, "/etc/passwd")
    return out.getvalue()


def epub(chapter: str) -> bytes:
    container = (
        "<container xmlns='urn:oasis:names:tc:opendocument:xmlns:container' version='1.0'>"
        "<rootfiles><rootfile full-path='b.opf' media-type='application/oebps-package+xml'/>"
        "</rootfiles></container>"
    )
    return archive(
        ("mimetype", "application/epub+zip"),
        ("META-INF/container.xml", container),
        ("c.xhtml", chapter),
    )


def odt(body: str) -> bytes:
    kind = "application/vnd.oasis.opendocument.text"
    return archive(("mimetype", kind), ("content.xml", body))


def nested_mail() -> bytes:
    heads = (
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (i, i)
        for i in range(20_000)
    )
    return b"From: a@example.com\r\nSubject: x\r\n" + b"".join(heads) + b"\r\nend"


def locked(plain: bytes) -> bytes:
    import msoffcrypto.format.ooxml  # type: ignore[import-untyped]

    out = io.BytesIO()
    msoffcrypto.format.ooxml.OOXMLFile(io.BytesIO(plain)).encrypt(KEY, out)
    return out.getvalue()


BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "pdf, flate in flate": (
        lambda: pdf(squeezed(b"0 " * 100_000_000, 2), "[/FlateDecode/FlateDecode]"),
        "pdf_bomb",
    ),
    "pdf, 1.5 million nested states": (
        lambda: pdf(squeezed(b"q " * 1_500_000, 1), "/FlateDecode"),
        "pdf_bomb",
    ),
    "pdf, hexadecimal around flate": (
        lambda: pdf(
            squeezed(b"0 " * 60_000_000, 1).hex().encode() + b">",
            "[/ASCIIHexDecode/FlateDecode]",
        ),
        "pdf_bomb",
    ),
    "docx, a ratio beyond reason": (lambda: docx(paragraphs(2_000_000)), "archive_bomb"),
    "docx, elements nested 5,000 deep": (
        lambda: docx("<a>" * 5_000 + "</a>" * 5_000),
        "xml_bomb",
    ),
    "docx, entities of entities": (lambda: docx(entities("laughs")), "xml_bomb"),
    "docx, one long entity": (lambda: docx(entities("long")), "xml_bomb"),
    "docx, an entity that reads a file": (lambda: docx(entities("file")), "xml_bomb"),
    "archives in archives": (lambda: nested_zip(5), "archive_bomb"),
    "entries that overlap": (overlapping, "archive_bomb"),
    "a name that leads out": (
        lambda: archive(("word/document.xml", "<x/>"), ("../../etc/cron.d/x", "x")),
        "archive_bomb",
    ),
    "a symbolic link": (link, "archive_bomb"),
    "an image of 40,000 by 40,000": (lambda: png(40_000, 40_000), "image_too_large"),
    "epub, entities of entities": (lambda: epub(entities("laughs")), "xml_bomb"),
    "odt, elements nested 5,000 deep": (lambda: odt("<a>" * 5_000 + "</a>" * 5_000), "xml_bomb"),
    "mail, 20,000 parts in parts": (nested_mail, "corrupt_file"),
    "docx, locked, a ratio beyond reason": (
        lambda: locked(docx(paragraphs(2_000_000))),
        "archive_bomb",
    ),
    "docx with macros": (
        lambda: docx(paragraphs(1), ("word/vbaProject.bin", b"x")),
        "macros_forbidden",
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_ends_with_its_code_and_the_worker_does_not_grow(
    parser: DoclingParser, tmp_path: Path, name: str
) -> None:
    make, code = BOMBS[name]
    path = tmp_path / "bomb"
    path.write_bytes(make())
    before = psutil.Process().memory_info().rss
    (found,) = parser.parse([ParseJob(1, path, "bomb", (KEY,))])
    assert code_of(found) == code
    assert found.seconds < LIMITS.wall_s + 10
    assert psutil.Process().memory_info().rss - before < 50 * MIB
    assert not list(path.parent.glob("etc"))


def code_of(outcome: ParseOutcome) -> str:
    return outcome.error.code if outcome.error else "parsed"


def test_a_document_that_takes_its_reader_beyond_its_memory_is_ended(tmp_path: Path) -> None:
    """Within every limit of intake, and 20 times as large in the reader's memory (E7)."""
    words = "".join(f"<w:p><w:r><w:t>{i:x}</w:t></w:r></w:p>" for i in range(400_000))
    data = docx(
        f"<w:document {W}><w:body>{words}</w:body></w:document>",
        (
            "_rels/.rels",
            "<Relationships xmlns='http://schemas.openxmlformats.org/package/2006/relationships'>"
            "<Relationship Id='r1' Type='http://schemas.openxmlformats.org/officeDocument/2006/"
            "relationships/officeDocument' Target='word/document.xml'/></Relationships>",
        ),
    )
    path = tmp_path / "bomb"
    path.write_bytes(data)
    before = psutil.Process().memory_info().rss
    limits = ParseLimits(wall_s=60, memory_bytes=400 * MIB, zip_ratio=1000)
    with DoclingParser(limits, workers=1) as pool:
        (found,) = pool.parse([ParseJob(1, path, "bomb")])
    assert code_of(found) == "parse_memory"
    assert psutil.Process().memory_info().rss - before < 50 * MIB


def test_a_bomb_in_a_picture_does_not_cost_the_document_its_text(tmp_path: Path) -> None:
    from docx import Document

    small = tmp_path / "i.png"
    small.write_bytes(png(8, 8))
    document = Document()
    document.add_paragraph("The text around the picture is kept as it stands.")
    document.add_picture(str(small))
    document.save(str(tmp_path / "plain.docx"))
    made = io.BytesIO()
    with zipfile.ZipFile(tmp_path / "plain.docx") as old, zipfile.ZipFile(made, "w") as new:
        for member in old.infolist():
            is_picture = member.filename.startswith("word/media/")
            new.writestr(member, png(12_000, 12_000) if is_picture else old.read(member))
    path = tmp_path / "bomb"
    path.write_bytes(made.getvalue())
    with DoclingParser(LIMITS, workers=1) as pool:
        (found,) = pool.parse([ParseJob(1, path, "bomb")])
    assert code_of(found) == "parsed"
    assert found.seconds < 20


def test_macros_are_let_in_when_allowed(tmp_path: Path) -> None:
    from docx import Document

    Document().save(str(tmp_path / "plain.docx"))
    data = (tmp_path / "plain.docx").read_bytes()
    path = tmp_path / "macro"
    path.write_bytes(data)
    with zipfile.ZipFile(path, "a") as made:
        made.writestr("word/vbaProject.bin", b"x")
    with DoclingParser(ParseLimits(allow_macros=True), workers=1) as pool:
        (found,) = pool.parse([ParseJob(1, path, "macro")])
    assert code_of(found) == "no_text"
