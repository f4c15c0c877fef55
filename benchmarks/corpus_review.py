"""Differences between the manifest of the shared documents and our outcomes, reviewed by hand.

Keyed by path and outcome: a reason holds for that outcome only, so a change is seen again.
"""

from __future__ import annotations

REVIEWED: dict[tuple[str, str], str] = {}
