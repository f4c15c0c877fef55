"""Lines of a PDF as flowing text: words that the line end cut are mended. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_CUT = re.compile(r"([^\W\d_]{2,})[-\u2010\u00ad]$")
_HEAD = re.compile(r"[^\W\d_]+")
_LEADERS = re.compile(r"\s*(?:\s?\.){5,}\s*")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef]")


def vocabulary(lines: Iterable[str]) -> frozenset[str]:
    """The words, in lower case, that stand uncut somewhere in these lines."""
    found: set[str] = set()
    for line in lines:
        words = _WORD.findall(line)
        found.update(word.lower() for word in (words[:-1] if line.endswith("-") else words))
    return frozenset(found)


def flow(lines: Sequence[str], known: frozenset[str]) -> str:
    """The lines as one text. A hyphen at a line's end goes when the joined word is known or the
    next line goes on in lower case, and stays when the hyphenated word is known."""
    text = lines[0]
    for line in lines[1:]:
        text = _append(text, line, known)
    return _LEADERS.sub(" ... ", text)


def _append(text: str, line: str, known: frozenset[str]) -> str:
    cut, head = _CUT.search(text), _HEAD.match(line)
    if cut and head:
        joined, hyphened = (cut[1] + head[0]).lower(), f"{cut[1]}-{head[0]}".lower()
        if joined in known or (head[0][0].islower() and hyphened not in known):
            return text[:-1] + line
        return text[:-1] + "-" + line
    if text.endswith(("-", "\u2010", "/")) and line[:1].islower():
        return text + line
    if text and line and _CJK.match(text[-1]) and _CJK.match(line[0]):
        return text + line
    return f"{text} {line}"
