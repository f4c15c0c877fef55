"""Rows of cells as Markdown pipe tables. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def pipe_table(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose first row is the header; '' when no cell has text.

    Cells are put on one line and their pipes escaped; short rows are filled up; columns and rows
    without any text are left out."""
    cells = [[_cell(text) for text in row] for row in rows]
    cells = [row for row in cells if any(row)]
    width = max((len(row) for row in cells), default=0)
    cells = [row + [""] * (width - len(row)) for row in cells]
    kept = [i for i in range(width) if any(row[i] for row in cells)]
    if not kept:
        return ""
    lines = ["| " + " | ".join(row[i] for i in kept) + " |" for row in cells]
    lines.insert(1, "|" + "|".join(" --- " for _ in kept) + "|")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
