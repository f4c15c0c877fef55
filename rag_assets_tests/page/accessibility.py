"""What must hold of any state of the page for people who do not see it, or see it badly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_FAULTS = Path(__file__).with_suffix(".js")


def faults(page: Any) -> list[str]:
    """The rules that the page breaks as it stands."""
    found: list[str] = page.evaluate(_FAULTS.read_text(encoding="utf-8"))
    return found
