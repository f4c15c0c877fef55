"""The report's picture: one bar per figure from the line of the goal, right where it is passed,
left where it is missed, each step a doubling. Plain SVG that follows the reader's light or dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

WIDTH, ROW, BAR = 1040, 34, 14
_NAME_END, _LEFT, _RIGHT = 330, 350, 790  # names end; the bars' field
_LEAST, _MOST = -2, 4  # powers of two shown
_TOP, _BOTTOM = 96, 44
_STYLE = """
text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #24292f; }
.title { font-size: 19px; font-weight: 600; }
.quiet { fill: #57606a; font-size: 12px; }
.ground { fill: #ffffff; } .grid { stroke: #d8dee4; } .goal { stroke: #24292f; stroke-width: 1.5; }
.met { fill: #1f7a8c; } .short { fill: #c2571a; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } .quiet { fill: #9da7b1; } .ground { fill: #0d1117; }
  .grid { stroke: #30363d; } .goal { stroke: #e6edf3; }
  .met { fill: #4db6c9; } .short { fill: #f0883e; }
}
"""


class Bar(NamedTuple):
    """A figure: `progress` is 1 at the goal; `reached` and `goal` are said in words."""

    name: str
    progress: float
    reached: str
    goal: str


def draw(title: str, subtitle: str, bars: Sequence[Bar]) -> str:
    """The picture."""
    height = _TOP + ROW * len(bars) + _BOTTOM
    foot = _TOP + ROW * len(bars)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img" aria-label="{_attribute(title)}">',
        f"<style>{_STYLE}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{height}"/>',
        _text(24, 36, title, "title"),
        _text(24, 58, subtitle, "quiet"),
        *(_grid(power, foot) for power in range(_LEAST, _MOST + 1)),
        *(_bar(bar, _TOP + ROW * number) for number, bar in enumerate(bars)),
        f'<line class="goal" x1="{_at(0):.0f}" x2="{_at(0):.0f}" y1="{_TOP - 4}" y2="{foot}"/>',
        _text(24, foot + 26, "Each grid line is a doubling of the distance to the goal.", "quiet"),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _at(power: float) -> float:
    """Where a power of two lies."""
    return _LEFT + (power - _LEAST) / (_MOST - _LEAST) * (_RIGHT - _LEFT)


def _grid(power: int, foot: float) -> str:
    x = _at(power)
    word = "goal" if power == 0 else f"{2**power:g}x"
    line = f'<line class="grid" x1="{x:.0f}" x2="{x:.0f}" y1="{_TOP - 4}" y2="{foot}"/>'
    return line + _text(x, _TOP - 10, word, "quiet", "middle")


def _bar(bar: Bar, top: float) -> str:
    power = math.log2(bar.progress) if 0 < bar.progress < math.inf else _MOST
    end = _at(min(max(power, _LEAST), _MOST))
    start = _at(0)
    is_met = bar.progress >= 1
    left, width = min(start, end), max(abs(end - start), 2)
    middle = top + ROW / 2 + 4
    return "".join([
        _text(_NAME_END, middle, bar.name, "", "end"),
        f'<rect class="{"met" if is_met else "short"}" x="{left:.1f}" y="{top + (ROW - BAR) / 2}" '
        f'width="{width:.1f}" height="{BAR}" rx="2"/>',
        _text(_RIGHT + 14, middle - 6, bar.reached, ""),
        _text(_RIGHT + 14, middle + 9, f"goal {bar.goal}", "quiet"),
    ])  # fmt: skip


def _text(x: float, y: float, words: str, kind: str, anchor: str = "start") -> str:
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" class="{kind}" text-anchor="{anchor}">'
        f"{escape(words)}</text>"
    )


def _attribute(words: str) -> str:
    return escape(words, {'"': "&quot;"})
