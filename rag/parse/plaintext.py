"""Bytes as text, and plain text as paragraphs. Pure."""

from __future__ import annotations

import codecs
import re

from rag.parse.pieces import Content, paragraph

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BLANK = re.compile(r"\n[ \t\r\f\v]*\n")
_ENCODING_SAMPLE = 256 * 1024
_MANY_HIGH_BYTES = 16  # with fewer, a guess is worth less than the most common code page


def decode(data: bytes) -> str:
    """The text of `data`: by its mark, as UTF-8, else in the 8-bit or Asian encoding that fits
    best, at last Windows-1252. Never raises."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as exc:
        if exc.reason == "unexpected end of data" and exc.start > len(data) - 4:
            return data.decode("utf-8", "replace")
    return data.decode(_guess(data[:_ENCODING_SAMPLE]), "replace")


def _guess(sample: bytes) -> str:
    """A multi-byte or ISO-2022 encoding when the sample says so clearly, else cp1252."""
    from charset_normalizer import from_bytes

    best = from_bytes(sample, threshold=0.2).best()
    if best is None or best.chaos > 0.1 or best.encoding in {"ascii", "utf_8"}:
        return "cp1252"
    high = sum(byte > 127 for byte in sample)
    is_foreign = high >= _MANY_HIGH_BYTES and high * 6 > len(sample)
    return best.encoding if is_foreign else "cp1252"


def convert_text(data: bytes) -> Content:
    """Paragraphs of a plain text file: what blank lines part."""
    text = decode(data).replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n\n")
    parts = _BLANK.split(text)
    return Content(tuple(paragraph(part) for part in parts if part.strip()), parser="text")
