"""Delimited text (CSV, TSV) as one table. Pure."""

from __future__ import annotations

import csv
import io

from rag.model import BlockKind
from rag.parse.pieces import Content, Piece
from rag.parse.plaintext import decode
from rag.parse.tables import pipe_table

_DELIMITERS = ",;\t|:"
_SAMPLE_LINES = 50


def convert_csv(data: bytes) -> Content:
    """The rows as a Markdown table, the first one its header."""
    text = decode(data).replace("\x00", "")
    csv.field_size_limit(16 * 1024 * 1024)
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter_of(text)))
    table = pipe_table(rows)
    pieces = (Piece(BlockKind.TABLE, table),) if table else ()
    return Content(pieces, parser="csv")


def delimiter_of(text: str) -> str:
    """The character that parts the first lines into the same number of two or more fields most
    often; a comma when none does."""
    sample = io.StringIO(text, newline="")
    lines = "".join(line for _, line in zip(range(_SAMPLE_LINES), sample, strict=False))
    best, score = ",", 0.0
    for delimiter in _DELIMITERS:
        widths = [len(row) for row in csv.reader(io.StringIO(lines), delimiter=delimiter) if row]
        common = max(set(widths), key=widths.count, default=1)
        agreement = widths.count(common) / max(1, len(widths))
        if common > 1 and agreement * (1 if delimiter != ":" else 0.5) > score:
            best, score = delimiter, agreement * (1 if delimiter != ":" else 0.5)
    return best
