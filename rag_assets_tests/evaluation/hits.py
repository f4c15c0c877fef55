"""Hits to score."""

from __future__ import annotations

from rag.model import Hit


def hit(name: str, text: str = "text", ordinal: int = 0) -> Hit:
    uri = f"s3://bucket/{name}"
    return Hit(name, uri, None, 1, "", text, 1.0, {}, ordinal, 1, "00")
