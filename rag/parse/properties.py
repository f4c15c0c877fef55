"""What an office file says about itself: title, author, dates, keywords. Pure but for the reading
of small members; whatever can not be read is left out."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import Any

from rag.parse import archives
from rag.parse.pieces import Content

_MAX_BYTES = 1024 * 1024
_PARTS = ("docProps/core.xml", "meta.xml")
_DULL = re.compile(
    r"untitled|(?:word|powerpoint|excel|slide|office).{0,12}(?:document|presentation|template)?"
    r"|microsoft word.*|presentation\d*|document\d*|book\d*|title|.*\.(?:docx?|pptx?|xlsx?|pdf)",
    re.IGNORECASE,
)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2})?(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})?)?")
_NAMES = {
    "title": "title",
    "creator": "author",
    "initial-creator": "author",
    "created": "created_at",
    "creation-date": "created_at",
    "modified": "modified_at",
    "date": "modified_at",
    "subject": "subject",
    "keywords": "keywords",
    "keyword": "keywords",
    "language": "language",
    "publisher": "publisher",
    "identifier": "identifier",
    "lastModifiedBy": "last_modified_by",
}


@dataclass(frozen=True, slots=True)
class Properties:
    """The properties by our names: title, author, created_at, language; the others in `more`."""

    title: str | None = None
    author: str | None = None
    created_at: str | None = None
    language: str | None = None
    more: dict[str, str] = field(default_factory=dict)

    def applied(self, content: Content) -> Content:
        """`content` with what it does not know itself; a title of the file's text goes first."""
        return replace(
            content,
            title=content.title or self.title,
            author=content.author or self.author,
            created_at=content.created_at or self.created_at,
            language=content.language or self.language,
            metadata={**self.more, **content.metadata},
        )


def read_properties(data: bytes) -> Properties:
    """The properties of an OOXML, OpenDocument or EPUB file; empty ones where there are none."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        return Properties()
    parts = [name for name in _PARTS if name in names]
    parts += [name for name in names if name.endswith(".opf")][:1]
    found: dict[str, str] = {}
    for part in parts:
        for name, value in _values(_read(data, part)):
            found.setdefault(name, value)
    return _properties(found)


def _read(data: bytes, name: str) -> bytes:
    return archives.read_member(BytesIO(data), name, _MAX_BYTES) or b""


def _values(xml: bytes) -> list[tuple[str, str]]:
    """Our name and value of every property in a part; none of a part that is not well-formed."""
    from lxml import etree  # type: ignore[import-untyped]

    parser: Any = etree.XMLParser(resolve_entities=False, no_network=True, recover=True)
    try:
        root = etree.fromstring(xml, parser)
    except (etree.XMLSyntaxError, ValueError):
        return []
    found = []
    for element in root.iter() if root is not None else ():
        if isinstance(element.tag, str):
            name = _NAMES.get(etree.QName(element).localname)
            value = " ".join((element.text or "").split())[:500]
            if name and value:
                found.append((name, value))
    return found


def _properties(found: dict[str, str]) -> Properties:
    title = found.pop("title", None)
    dates = {n: _date(found.pop(n, "")) for n in ("created_at", "modified_at")}
    author, language = found.pop("author", None), found.pop("language", None)
    if dates["modified_at"]:
        found["modified_at"] = dates["modified_at"]
    dull = title is None or _DULL.fullmatch(title.strip())
    return Properties(None if dull else title, author, dates["created_at"], language, found)


def _date(text: str) -> str | None:
    """An ISO date as it stands, None for anything else and for the epochs writers put in."""
    found = _DATE.match(text)
    return found[0] if found and found[0][:4] not in ("0000", "1601", "1899") else None
