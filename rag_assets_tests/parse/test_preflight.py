"""Preflight: the type by content, and every limit with its code, before anything is parsed."""

from __future__ import annotations

import io
import struct
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.errors import RagError
from rag.parse.filetypes import FileType, sniff
from rag.parse.limits import ParseLimits
from rag.parse.preflight import inspect

LIMITS = ParseLimits()
MAIL = b"From: a@example.com\r\nTo: b@example.com\r\nSubject: Hi\r\n\r\nBody"


def code_of(data: bytes, tmp_path: Path, limits: ParseLimits = LIMITS, name: str = "f") -> str:
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(RagError) as caught:
        inspect(path, name, (), limits)
    assert "\n" not in caught.value.message
    return caught.value.code


def archive(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in members.items():
            made.writestr(name.replace("__", "/").replace("_xml", ".xml"), data)
    return out.getvalue()


def ole(*names: str) -> bytes:
    """An OLE2 file whose directory holds empty streams of these names."""

    def entry(name: str, kind: int, right: int, child: int) -> bytes:
        text = name.encode("utf-16-le")
        head = text.ljust(64, b"\0") + struct.pack(
            "<HBBiii", len(text) + 2, kind, 1, -1, right, child
        )
        return head + bytes(36) + struct.pack("<iII", -2, 0, 0)

    entries = entry("Root Entry", 5, -1, 1)
    for index, name in enumerate(names, 1):
        entries += entry(name, 2, index + 1 if index < len(names) else -1, -1)
    entries = entries.ljust(512, b"\0")
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    header += struct.pack("<HHHHH6x", 62, 3, 0xFFFE, 9, 6)
    header += struct.pack("<IIIIIiIiI", 0, 1, 1, 0, 4096, -2, 0, -2, 0)
    header += struct.pack("<I", 0) + b"\xff" * (108 * 4)
    table = struct.pack("<Ii", 0xFFFFFFFD, -2) + b"\xff" * 504
    return header + table + entries


@pytest.mark.parametrize(
    ("head", "name", "kind"),
    [
        (b"%PDF-1.7\n", "report.docx", FileType.PDF),
        (b"\n\n%PDF-1.4", "x", FileType.PDF),
        (b"\x89PNG\r\n\x1a\n", "x.pdf", FileType.IMAGE),
        (b"II*\0abcd", "x", FileType.IMAGE),
        (b"{\\rtf1 hello}", "x.doc", FileType.RTF),
        (b"<!DOCTYPE html><html>", "x.txt", FileType.HTML),
        (b"<div><p>Fragment</p></div>", "x", FileType.HTML),
        (b'<?xml version="1.0"?><article article-type="x">', "x.xml", FileType.JATS),
        (b'<?xml version="1.0"?><root/>', "x.xml", FileType.XML),
        (b"WEBVTT\n\n00:01.000 --> 00:02.000\nHi", "x.txt", FileType.VTT),
        (MAIL, "x.txt", FileType.EML),
        (b"# Title\n\ntext", "x.md", FileType.MARKDOWN),
        (b"# Title\n\ntext", "x.bin", FileType.TEXT),
        (b"a,b\n1,2", "x.csv", FileType.CSV),
        (b"\xff\xfeh\0i\0", "x.txt", FileType.TEXT),
        ("Grüße".encode("cp1252"), "x", FileType.TEXT),
        (b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0>\0", "x.txt", None),
        (b"Note: this\nis: text\nwithout headers", "x.txt", FileType.TEXT),
    ],
)
def test_the_type_is_told_from_the_bytes(head: bytes, name: str, kind: FileType | None) -> None:
    assert sniff(head, name) is kind


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty_file"),
        (b" \n\t ", "empty_file"),
        (b"\x7fELF\x02\x01\x01" + bytes(50), "unsupported_type"),
        (archive(a=b"text"), "unsupported_type"),
        (b'<?xml version="1.0"?><root/>', "unsupported_type"),
        (b"PK\x03\x04 not a zip", "corrupt_file"),
        (b"%PDF-1.7 and nothing else", "corrupt_file"),
        (b"\x89PNG\r\n\x1a\n broken", "corrupt_file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 broken", "corrupt_file"),
        (archive(word__document_xml=bytes(2_000_000)), "archive_bomb"),
        (archive(**{"..__..__etc__passwd": b"x", "word__document_xml": b"x"}), "archive_bomb"),
        (archive(__abs=b"x"), "archive_bomb"),
    ],
)
def test_a_file_that_can_not_be_parsed_gets_its_code(
    data: bytes, code: str, tmp_path: Path
) -> None:
    assert code_of(data, tmp_path) == code


def test_limits_on_size_entries_and_names_are_kept(tmp_path: Path) -> None:
    small = replace(LIMITS, file_bytes=100, zip_entries=5, zip_name_chars=50)
    assert code_of(b"x" * 101, tmp_path, small) == "file_too_large"
    larger = replace(small, file_bytes=100_000)
    many = archive(**{f"word__{i}": b"" for i in range(6)})
    assert code_of(many, tmp_path, larger) == "archive_bomb"
    assert code_of(archive(**{"n" * 51: b""}), tmp_path, larger) == "archive_bomb"


def test_an_honest_archive_passes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(archive(word__document_xml=b"<xml/>"))
    assert inspect(path, "lies.pdf", (), LIMITS).file_type is FileType.DOCX


def test_xml_is_counted_by_its_declared_type_too(tmp_path: Path) -> None:
    types = b"<Types><Override PartName='/word/hidden.dat' ContentType='a/b+xml'/></Types>"
    data = archive(
        **{
            "word__document_xml": b"<x/>",
            "[Content_Types]_xml": types,
            "word__hidden.dat": b"9" * 900,
        }
    )
    assert code_of(data, tmp_path, replace(LIMITS, zip_xml_bytes=800)) == "archive_bomb"
    path = tmp_path / "file"
    assert inspect(path, "x", (), replace(LIMITS, zip_xml_bytes=2000)).file_type is FileType.DOCX


def test_archives_inside_count_against_the_same_size(tmp_path: Path) -> None:
    inner = archive(a=b"x" * 5000)
    data = archive(word__document_xml=b"<x/>", **{"word__embeddings__a.zip": inner})
    assert code_of(data, tmp_path, replace(LIMITS, zip_inflated_bytes=4000)) == "archive_bomb"
    assert code_of(data, tmp_path, replace(LIMITS, zip_nesting=1)) == "archive_bomb"


def test_an_entity_that_is_a_word_or_an_image_is_honest(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(
        b"<?xml version='1.0'?><!DOCTYPE us-patent-application SYSTEM 'x.dtd' [<!ENTITY who 'Ann'>"
        b"<!NOTATION TIF SYSTEM 'x'><!ENTITY fig SYSTEM 'fig.tif' NDATA TIF>]>"
        b"<us-patent-application>&who;</us-patent-application>"
    )
    assert inspect(path, "x.xml", (), LIMITS).file_type is FileType.USPTO


def test_an_encrypted_office_file_asks_for_its_password(tmp_path: Path) -> None:
    data = ole("EncryptedPackage", "EncryptionInfo")
    assert code_of(data, tmp_path) == "password_required"


def test_macros_of_an_old_office_file_are_refused_unless_allowed(tmp_path: Path) -> None:
    data = ole("WordDocument", "Macros")
    assert code_of(data, tmp_path) == "macros_forbidden"
    path = tmp_path / "file"
    allowed = replace(LIMITS, allow_macros=True)
    assert inspect(path, "x.doc", (), allowed).file_type is FileType.DOC


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([b"%PDF-1.4\n", b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"", b"<"]),
    st.binary(max_size=400),
)
def test_any_bytes_give_a_verdict_or_a_known_error(
    tmp_path_factory: pytest.TempPathFactory, head: bytes, rest: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz"
    path.write_bytes(head + rest)
    try:
        inspect(path, "x", (), LIMITS)
    except RagError as exc:
        assert exc.code


def test_xml_in_an_encoding_nobody_knows_is_left_to_its_reader(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"<?xml version='1.0' encoding='none-such'?><article article-type='x'/>")
    assert inspect(path, "x.xml", (), LIMITS).file_type is FileType.JATS
