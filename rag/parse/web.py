"""HTML without what is not the page's own text: scripts, navigation, footers, hidden parts."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from rag.parse.declarative import convert_declarative
from rag.parse.filetypes import FileType
from rag.parse.pieces import Content
from rag.parse.plaintext import decode

_DROPPED = ("script", "style", "noscript", "template", "iframe", "nav", "aside", "svg", "object")
_ROLES = frozenset({"navigation", "banner", "contentinfo", "search", "complementary"})
_CHARSET = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([a-zA-Z0-9_-]+)", re.IGNORECASE)
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)


def convert_html(data: bytes) -> Content:
    """The pieces of an HTML page; when dropping boilerplate leaves nothing, of all of it."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(_decoded(data), "lxml")
    title = soup.title.get_text(" ", strip=True) if soup.title else None
    language = _attribute(soup.html, "lang") if soup.html else None
    author = soup.find("meta", attrs={"name": re.compile("^author$", re.IGNORECASE)})
    _drop_boilerplate(soup)
    content = convert_declarative(str(soup).encode("utf-8"), FileType.HTML)
    if not any(piece.text.strip() for piece in content.pieces):
        content = convert_declarative(_decoded(data).encode("utf-8"), FileType.HTML)
    return replace(
        content,
        title=title or content.title,
        language=(language or "").strip()[:35] or None,
        author=_attribute(author, "content") if author else None,
    )


def _decoded(data: bytes) -> str:
    declared = _CHARSET.search(data[:4096])
    if declared and not data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        try:
            return data.decode(declared[1].decode("ascii"))
        except (LookupError, UnicodeDecodeError):
            return decode(data)
    return decode(data)


def _drop_boilerplate(soup: Any) -> None:
    for tag in soup.find_all(_DROPPED):
        tag.decompose()
    for tag in soup.find_all(_is_boilerplate):
        if not tag.decomposed:
            tag.decompose()


def _is_boilerplate(tag: Any) -> bool:
    """A page footer or header (not that of an article), a landmark role, or a hidden part."""
    if tag.name == "footer" and tag.find_parent(("article", "section")) is None:
        return True
    if _attribute(tag, "role").lower() in _ROLES or tag.has_attr("hidden"):
        return True
    return bool(_HIDDEN.search(_attribute(tag, "style")))


def _attribute(tag: Any, name: str) -> str:
    value = tag.get(name)
    return " ".join(value) if isinstance(value, list) else str(value or "")
