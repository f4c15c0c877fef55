"""What a file is, told from its bytes. The name only breaks ties between formats that are text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath

from rag.errors import PolicyError

HEAD_BYTES = 64 * 1024


class FileType(StrEnum):
    """The formats we read, or know well enough to refuse with the right reason."""

    PDF = "pdf"
    DOCX = "docx"
    PPTX = "pptx"
    XLSX = "xlsx"
    ODT = "odt"
    ODS = "ods"
    ODP = "odp"
    EPUB = "epub"
    PAGES = "pages"
    KEYNOTE = "keynote"
    NUMBERS = "numbers"
    HTML = "html"
    MARKDOWN = "markdown"
    ASCIIDOC = "asciidoc"
    TEXT = "text"
    CSV = "csv"
    VTT = "webvtt"
    EML = "eml"
    MSG = "msg"
    IMAGE = "image"
    JATS = "jats"
    USPTO = "uspto"
    XML = "xml"
    DOC = "doc"
    XLS = "xls"
    PPT = "ppt"
    RTF = "rtf"
    OOXML_ENCRYPTED = "ooxml_encrypted"
    ZIP = "zip"


_OOXML = "application/vnd.openxmlformats-officedocument."
_ODF = "application/vnd.oasis.opendocument."
MEDIA_TYPES: dict[FileType, str] = {
    FileType.PDF: "application/pdf",
    FileType.DOCX: _OOXML + "wordprocessingml.document",
    FileType.PPTX: _OOXML + "presentationml.presentation",
    FileType.XLSX: _OOXML + "spreadsheetml.sheet",
    FileType.ODT: _ODF + "text",
    FileType.ODS: _ODF + "spreadsheet",
    FileType.ODP: _ODF + "presentation",
    FileType.EPUB: "application/epub+zip",
    FileType.PAGES: "application/vnd.apple.pages",
    FileType.KEYNOTE: "application/vnd.apple.keynote",
    FileType.NUMBERS: "application/vnd.apple.numbers",
    FileType.HTML: "text/html",
    FileType.MARKDOWN: "text/markdown",
    FileType.ASCIIDOC: "text/asciidoc",
    FileType.TEXT: "text/plain",
    FileType.CSV: "text/csv",
    FileType.VTT: "text/vtt",
    FileType.EML: "message/rfc822",
    FileType.MSG: "application/vnd.ms-outlook",
    FileType.IMAGE: "image/*",
    FileType.JATS: "application/jats+xml",
    FileType.USPTO: "application/xml",
    FileType.XML: "application/xml",
    FileType.DOC: "application/msword",
    FileType.XLS: "application/vnd.ms-excel",
    FileType.PPT: "application/vnd.ms-powerpoint",
    FileType.RTF: "application/rtf",
}

# What a member of the archive's directory proves; the first that is there decides.
_BY_MEMBER = (
    ("word/document.xml", FileType.DOCX),
    ("ppt/presentation.xml", FileType.PPTX),
    ("xl/workbook.xml", FileType.XLSX),
    ("xl/workbook.bin", FileType.ZIP),
    ("META-INF/container.xml", FileType.EPUB),
)
_BY_MIMETYPE = {
    b"application/epub+zip": FileType.EPUB,
    _ODF.encode() + b"text": FileType.ODT,
    _ODF.encode() + b"text-template": FileType.ODT,
    _ODF.encode() + b"spreadsheet": FileType.ODS,
    _ODF.encode() + b"spreadsheet-template": FileType.ODS,
    _ODF.encode() + b"presentation": FileType.ODP,
    _ODF.encode() + b"presentation-template": FileType.ODP,
}
_BY_SUFFIX = {
    ".md": FileType.MARKDOWN,
    ".markdown": FileType.MARKDOWN,
    ".adoc": FileType.ASCIIDOC,
    ".asciidoc": FileType.ASCIIDOC,
    ".asc": FileType.ASCIIDOC,
    ".csv": FileType.CSV,
    ".tsv": FileType.CSV,
    ".eml": FileType.EML,
    ".vtt": FileType.VTT,
    ".html": FileType.HTML,
    ".htm": FileType.HTML,
    ".xhtml": FileType.HTML,
}
_IMAGES = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF87a",
    b"GIF89a",
    b"II*\0",
    b"MM\0*",
    b"BM",
)
_HEADER_LINE = re.compile(
    rb"^(?:received|return-path|delivered-to|from|to|cc|subject|date|message-id|mime-version"
    rb"|content-type|reply-to|sender|x-[a-z0-9-]+|dkim-signature|in-reply-to|list-[a-z-]+"
    rb"|content-transfer-encoding|envelope-to|bcc|references|content-disposition)[ \t]*:",
    re.IGNORECASE,
)
_ANY_HEADER = re.compile(rb"^[!-9;-~]+[ \t]*:|^[ \t]+\S|^From \S+")
_HTML = re.compile(rb"<!doctype\s+html|<html[\s>]|<head[\s>]|<body[\s>]", re.IGNORECASE)
_HTML_TAG = re.compile(
    rb"^\s*(?:<!--.*?-->\s*)*<(?:div|p|h[1-6]|table|ul|ol|section|article|span|meta|title|main|nav"
    rb"|header)\b",
    re.IGNORECASE | re.DOTALL,
)
_USPTO = re.compile(
    rb"<!DOCTYPE\s+(?:us-patent|patent-application-publication|patdoc|PATDOC)"
    rb"|<us-patent-|<PATDOC|<patent-application-publication"
)
_JATS = re.compile(rb"<!DOCTYPE\s+article[\s>]|<article\s[^>]*(?:article-type|dtd-version)=")


@dataclass(frozen=True, slots=True)
class OleNames:
    """Names of the top-level streams of an OLE2 file."""

    names: frozenset[str]

    def file_type(self) -> FileType | None:
        """What the streams prove; None when nothing we know."""
        for name, kind in (
            ("EncryptedPackage", FileType.OOXML_ENCRYPTED),
            ("__properties_version1.0", FileType.MSG),
            ("WordDocument", FileType.DOC),
            ("PowerPoint Document", FileType.PPT),
            ("Workbook", FileType.XLS),
            ("Book", FileType.XLS),
        ):
            if name in self.names:
                return kind
        return None


def sniff(head: bytes, name: str) -> FileType | None:
    """The type of a file that begins with `head`: ZIP for any zip, DOC for any OLE2 file (look
    inside next), None for OLE-less binary we do not read. `name` decides between text formats."""
    if head[:1024].lstrip(b"\xef\xbb\xbf \t\r\n\0").startswith(b"%PDF-") or b"%PDF-" in head[:1024]:
        return FileType.PDF
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        return FileType.ZIP
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return FileType.DOC
    if head.startswith(b"{\\rtf"):
        return FileType.RTF
    if _is_image(head):
        return FileType.IMAGE
    if not is_text(head):
        return None
    return _sniff_text(head, PurePath(name).suffix.lower())


def by_members(names: frozenset[str], mimetype: bytes | None) -> FileType:
    """The type of a zip archive with these member names; ZIP when it is just an archive."""
    if mimetype is not None and mimetype.strip() in _BY_MIMETYPE:
        return _BY_MIMETYPE[mimetype.strip()]
    for member, kind in _BY_MEMBER:
        if member in names:
            return kind
    if "Index/Document.iwa" in names or "index.xml" in names or "Index.zip" in names:
        return _iwork(names)
    # Some writers keep the main part elsewhere: its content types still say what it is.
    for prefix, kind in (("word/", FileType.DOCX), ("ppt/", FileType.PPTX), ("xl/", FileType.XLSX)):
        if "[Content_Types].xml" in names and any(n.startswith(prefix) for n in names):
            return kind
    return FileType.ZIP


def _iwork(names: frozenset[str]) -> FileType:
    if any(n.startswith("Index/Slide") for n in names):
        return FileType.KEYNOTE
    if "Index/Document.iwa" in names and "Index/DocumentStylesheet.iwa" in names:
        sheets = any(n.startswith("Index/Sheet") for n in names)
        return FileType.NUMBERS if sheets else FileType.PAGES
    return FileType.PAGES


def _is_image(head: bytes) -> bool:
    webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    bitmap = head[:2] == b"BM" and head[6:10] == b"\0\0\0\0"
    return webp or bitmap or (head[:2] != b"BM" and head.startswith(_IMAGES))


# control characters that text has no use for; escape is in logs of terminals
_CONTROL_BYTES = bytes(byte for byte in range(32) if not 9 <= byte <= 13 and byte != 27)


def is_text(head: bytes) -> bool:
    """True when `head` reads as text in UTF-8, UTF-16 with a mark, or an 8-bit code page."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    if b"\0" in head[:4096] and head.count(b"\0") * 10 > len(head[:4096]):
        return False
    odd = len(head) - len(head.translate(None, _CONTROL_BYTES))
    return odd * 20 <= len(head)


def _sniff_text(head: bytes, suffix: str) -> FileType:
    text = head.removeprefix(b"\xef\xbb\xbf")
    named = _BY_SUFFIX.get(suffix)
    if text.startswith(b"WEBVTT"):
        return FileType.VTT
    marked = _sniff_markup(text, named)
    if marked is not None:
        return marked
    if named is not FileType.HTML and named is not None:
        return named
    if _is_mail(text):
        return FileType.EML
    if text.startswith(b"PATN") and b"WKU " in text[:200]:
        return FileType.USPTO
    return FileType.HTML if named is FileType.HTML else FileType.TEXT


def _sniff_markup(text: bytes, named: FileType | None) -> FileType | None:
    stripped = text.lstrip()
    if not stripped.startswith(b"<") or named in (FileType.MARKDOWN, FileType.ASCIIDOC):
        return None
    if _USPTO.search(text):
        return FileType.USPTO
    if _JATS.search(text[:16384]):
        return FileType.JATS
    if _HTML.search(text[:16384]):
        return FileType.HTML
    if _HTML_TAG.search(text) or named is FileType.HTML:
        return FileType.HTML
    return FileType.XML if stripped.startswith(b"<?xml") else None


def _is_mail(text: bytes) -> bool:
    lines = text.lstrip(b"\r\n").split(b"\n", 40)[:40]
    known = headers = 0
    for line in lines:
        if not line.strip():
            break
        if not _ANY_HEADER.match(line):
            return False
        headers += 1
        known += bool(_HEADER_LINE.match(line))
    return known >= 2 and known * 3 >= headers


def unsupported(what: str) -> PolicyError:
    """The error for a file we do not read."""
    return PolicyError(
        f"This is {what}, which is not a document type we read: convert it to PDF, DOCX, HTML or "
        "text, or leave it out of the source.",
        code="unsupported_type",
    )
