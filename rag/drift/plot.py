"""Two histograms over one axis, as an SVG picture: what the reference was like and what came since.
Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BINS = 24
_WIDTH, _HEIGHT, _TOP, _LEFT = 480, 120, 24, 10
_SIDES = (("reference", "#7a8699"), ("recent", "#c2571a"))


def histograms(axis: str, before: NDArray[np.floating], after: NDArray[np.floating]) -> str:
    """Shares of both sides in equal steps along the axis; `axis` says what is measured."""
    lowest = float(min(before.min(), after.min()))
    highest = float(max(before.max(), after.max(), lowest + 1e-9))
    edges = np.linspace(lowest, highest, _BINS + 1)
    shares = [np.histogram(side, edges)[0] / len(side) for side in (before, after)]
    scale = _HEIGHT / max(float(side.max()) for side in shares)
    bars = "".join(
        _bar(place, at, float(share) * scale)
        for place, side in enumerate(shares)
        for at, share in enumerate(side)
        if share
    )
    floor = _TOP + _HEIGHT
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {_WIDTH + 2 * _LEFT} {floor + 36}' "
        "font-family='sans-serif' font-size='12' fill='#57606f' role='img'>"
        f"<title>{axis}</title>{_legend(len(before), len(after))}{bars}"
        f"<line x1='{_LEFT}' x2='{_LEFT + _WIDTH}' y1='{floor}' y2='{floor}' stroke='#8888'/>"
        f"<text x='{_LEFT}' y='{floor + 16}'>{lowest:.3g}</text>"
        f"<text x='{_LEFT + _WIDTH}' y='{floor + 16}' text-anchor='end'>{highest:.3g}</text>"
        f"<text x='{_LEFT + _WIDTH / 2}' y='{floor + 30}' text-anchor='middle'>{axis}</text></svg>"
    )


def _bar(place: int, at: int, height: float) -> str:
    step = _WIDTH / _BINS
    x = _LEFT + at * step + 1 + place * (step - 2) / 2
    return (
        f"<rect x='{x:.1f}' y='{_TOP + _HEIGHT - height:.1f}' width='{(step - 2) / 2:.1f}' "
        f"height='{height:.1f}' fill='{_SIDES[place][1]}'/>"
    )


def _legend(*sizes: int) -> str:
    return "".join(
        f"<rect x='{_LEFT + place * 150}' y='3' width='10' height='10' fill='{colour}'/>"
        f"<text x='{_LEFT + 15 + place * 150}' y='12'>{name} ({size})</text>"
        for place, ((name, colour), size) in enumerate(zip(_SIDES, sizes, strict=True))
    )
