"""A plain bar chart for the PDF pages."""

from __future__ import annotations

from collections.abc import Sequence

from reportlab.graphics.shapes import Drawing, Line, Rect, String
from reportlab.lib import colors

BAR = colors.HexColor("#5c8a86")
HEIGHT = 130.0
BASE = 18.0


def bar_chart(values: Sequence[tuple[str, float]], width: float) -> Drawing:
    """One bar for each value, with its label below and its value above."""
    drawing = Drawing(width, HEIGHT)
    step = width / len(values)
    scale = (HEIGHT - BASE - 14) / max(value for _, value in values)
    drawing.add(Line(0, BASE, width, BASE, strokeColor=colors.grey))
    for i, (label, value) in enumerate(values):
        middle = (i + 0.5) * step
        tall = value * scale
        drawing.add(Rect(middle - step / 4, BASE, step / 2, tall, fillColor=BAR, strokeColor=None))
        drawing.add(_text(middle, BASE - 11, label))
        drawing.add(_text(middle, BASE + tall + 3, f"{value:g}"))
    return drawing


def _text(x: float, y: float, text: str) -> String:
    return String(x, y, text, fontName="Helvetica", fontSize=8, textAnchor="middle")
