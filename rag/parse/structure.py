"""A DoclingDocument as pieces in reading order. Knows docling's tree and no file format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rag.model import BlockKind
from rag.parse.figures import IMAGE_MARK
from rag.parse.pictures import mark
from rag.parse.pieces import Piece, heading, paragraph
from rag.parse.tables import pipe_table

_INLINE = "inline"
_NAMED_GROUPS = frozenset({"sheet"})
_FURNITURE = frozenset({"page_header", "page_footer"})


def pieces_of(document: Any, *, with_notes: bool, with_pages: bool) -> tuple[Piece, ...]:
    """The pieces of a docling document, furniture left out; notes and comments when asked for.

    Section levels move down by one below a title, so that a title is the only level 1."""
    return tuple(_Walk(document, with_notes, with_pages).pieces(document.body))


class _Walk:
    """One pass over one document."""

    def __init__(self, document: Any, with_notes: bool, with_pages: bool) -> None:
        self._document = document
        self._layers = {"body", "notes"} if with_notes else {"body"}
        self._with_pages = with_pages
        self._page: int | None = None
        self._shift = int(any(_label(item) == "title" for item in document.texts))
        owners = [*document.tables, *document.pictures]
        self._captions = {ref.cref for owner in owners for ref in owner.captions}

    def pieces(self, node: Any) -> Iterator[Piece]:
        """The pieces of everything below `node`, in order."""
        for ref in node.children:
            item = ref.resolve(self._document)
            if ref.cref not in self._captions and self._is_wanted(item):
                yield from self._item(item)

    def _is_wanted(self, item: Any) -> bool:
        layer = getattr(item, "content_layer", None)
        return getattr(layer, "value", "body") in self._layers and _label(item) not in _FURNITURE

    def _item(self, item: Any) -> Iterator[Piece]:
        if self._with_pages and getattr(item, "prov", None):
            self._page = item.prov[0].page_no
        kind = type(item).__name__
        if kind == "TableItem":
            yield from self._table(item)
        elif kind == "PictureItem":
            yield from self._caption(item)
            yield from self._description(item)
            yield from self._chart(item)
            yield from self.pieces(item)
        elif kind == "ListItem":
            yield from self._list_item(item)
        elif hasattr(item, "text"):
            yield from self._text(item)
        else:
            yield from self._group(item)

    def _group(self, group: Any) -> Iterator[Piece]:
        label = _label(group)
        if label == _INLINE:
            yield paragraph(self._inline(group), self._page)
            return
        below = list(self.pieces(group))
        if label in _NAMED_GROUPS and below:
            yield heading(group.name, 1, below[0].page)
        yield from below

    def _text(self, item: Any) -> Iterator[Piece]:
        label, text = _label(item), _shown(item)
        children = [ref.resolve(self._document) for ref in item.children]
        if not text and children and _label(children[0]) == _INLINE:
            text, children = self._inline(children[0]), children[1:]
        if label == "title":
            yield heading(text, 1, self._page)
        elif label == "section_header":
            yield heading(text, item.level + self._shift, self._page)
        elif label == "code":
            yield Piece(BlockKind.CODE, text, self._page)
        elif label == "caption":
            yield Piece(BlockKind.CAPTION, text, self._page)
        else:
            yield paragraph(text, self._page)
        for child in children:
            if self._is_wanted(child):
                yield from self._item(child)

    def _list_item(self, item: Any) -> Iterator[Piece]:
        children = [ref.resolve(self._document) for ref in item.children]
        text = _shown(item)
        if not text and children and _label(children[0]) == _INLINE:
            text, children = self._inline(children[0]), children[1:]
        elif not text and children and hasattr(children[0], "text") and not children[0].children:
            text, children = _shown(children[0]), children[1:]
        marker = (item.marker or "").strip() or "-"
        if text:
            yield Piece(BlockKind.LIST_ITEM, f"{marker} {text}", self._page)
        for child in children:
            if self._is_wanted(child):
                yield from self._item(child)

    def _table(self, item: Any) -> Iterator[Piece]:
        yield from self._caption(item)
        rows = [[self._cell(cell) for cell in row] for row in item.data.grid]
        text = pipe_table(rows)
        if text:
            yield Piece(BlockKind.TABLE, text, self._page)

    def _chart(self, item: Any) -> Iterator[Piece]:
        """The numbers behind a chart, where the file carries them."""
        chart = getattr(getattr(item, "meta", None), "tabular_chart", None)
        if chart is not None:
            text = pipe_table([[str(cell.text) for cell in row] for row in chart.chart_data.grid])
            if text:
                yield Piece(BlockKind.TABLE, text, self._page)

    def _caption(self, item: Any) -> Iterator[Piece]:
        texts = [ref.resolve(self._document).text for ref in item.captions]
        if any(texts):
            yield Piece(BlockKind.CAPTION, " ".join(texts), self._page)

    def _description(self, item: Any) -> Iterator[Piece]:
        """The picture's alternative text, unless its caption says the same; where there is none,
        its mark if it was set aside."""
        description = getattr(getattr(item, "meta", None), "description", None)
        captions = [ref.resolve(self._document).text for ref in item.captions]
        name = str(getattr(getattr(item, "image", None), "uri", ""))
        if description is None:
            if name.isdecimal():
                yield Piece(BlockKind.FIGURE, mark(int(name)), self._page)
        elif description.text not in captions:
            yield Piece(BlockKind.FIGURE, IMAGE_MARK + description.text, self._page)

    def _cell(self, cell: Any) -> str:
        ref = getattr(cell, "ref", None)
        if cell.text or ref is None:
            return str(cell.text)
        return " ".join(p.text for p in self._item(ref.resolve(self._document)))

    def _inline(self, group: Any) -> str:
        parts = [ref.resolve(self._document) for ref in group.children]
        text = " ".join(shown for part in parts if (shown := self._run(part)))
        for sign in (",", ".", ";", ":", ")", "!", "?"):
            text = text.replace(f" {sign}", sign)
        return text.replace("( ", "(")

    def _run(self, part: Any) -> str:
        if _label(part) == _INLINE:
            return self._inline(part)
        text = _shown(part).strip()
        return f"${text.strip('$')}$" if _label(part) == "formula" and text else text


def _label(item: Any) -> str:
    label = getattr(item, "label", "")
    return str(getattr(label, "value", label))


def _shown(item: Any) -> str:
    text = str(getattr(item, "text", "") or "")
    if _label(item) == "formula" and text:
        return f"$${text.strip('$')}$$"
    if _label(item) in {"checkbox_selected", "checkbox_unselected"}:
        return f"[{'x' if _label(item).endswith('_selected') else ' '}] {text}"
    return text
