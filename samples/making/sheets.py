"""XLSX workbooks: one sheet for each heading, typed cells, a remark above the table."""

from __future__ import annotations

import io
import re
from datetime import date
from typing import Any

from openpyxl import Workbook
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter

from making.blocks import Heading, Paragraph, Source, Table
from making.office import with_fixed_times, written_on

HEAD_FILL = PatternFill("solid", fgColor="1F4E4A")
HEAD_FONT = Font(bold=True, color="FFFFFF")
_INTEGER = re.compile(r"-?(?:0|[1-9]\d*)")
_DECIMAL = re.compile(r"-?\d+\.\d+")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def make_xlsx(source: Source) -> bytes:
    """The XLSX of a source."""
    book = Workbook()
    book.remove(book.active)
    sheet: Any = None
    for block in source.blocks:
        match block:
            case Heading(_, text):
                sheet = book.create_sheet(text)
            case Paragraph(text):
                sheet.append([text])
                sheet["A1"].font = Font(italic=True)
                sheet.append([])
            case Table():
                _table(sheet, block)
            case _:
                raise ValueError(f"a sheet has no place for {block}")
    _set_properties(book.properties, source.meta)
    out = io.BytesIO()
    book.save(out)
    return with_fixed_times(out.getvalue(), source.meta)


def _set_properties(properties: Any, meta: dict[str, str]) -> None:
    properties.title = meta["title"]
    properties.creator = properties.lastModifiedBy = meta["author"]
    properties.created = properties.modified = written_on(meta)


def _table(sheet: Any, block: Table) -> None:
    """The table at the end of the sheet, its header frozen."""
    head = sheet.max_row + 2 if sheet.max_row > 1 or sheet["A1"].value else 1
    for i, row in enumerate(block.rows, start=head):
        for j, text in enumerate(row, start=1):
            _write(sheet.cell(i, j), text if i == head else _value(text))
    for cell in sheet[head]:
        cell.font, cell.fill = HEAD_FONT, HEAD_FILL
        cell.alignment = Alignment(wrap_text=True, vertical="top")
    for j, column in enumerate(zip(*block.rows, strict=True), start=1):
        wide = max(len(text) for text in column[1:])
        sheet.column_dimensions[get_column_letter(j)].width = min(max(wide + 3, 11), 48)
    sheet.freeze_panes = sheet.cell(head + 1, 2)


def _write(cell: Any, value: Any) -> None:
    cell.value = value
    if isinstance(value, date):
        cell.number_format = "yyyy-mm-dd"
    elif isinstance(value, float):
        cell.number_format = "#,##0.00" if abs(value) >= 20 else "0.0"
    elif isinstance(value, int):
        cell.number_format = "#,##0"


def _value(text: str) -> str | int | float | date | None:
    """A cell's text as the type it looks like; codes stay text."""
    if _INTEGER.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        return float(text)
    if _DATE.fullmatch(text):
        return date.fromisoformat(text)
    return text or None
