"""Runs of a Word document that nobody sees (Hidden font). Docling leaves them out; we count them.
Runs in the child."""

from __future__ import annotations

from typing import Any


def count_hidden_runs() -> dict[Any, int]:
    """Characters by hidden run of what is converted from now on."""
    from docling.backend.msword_backend import MsWordDocumentBackend as Backend

    original = getattr(Backend._is_hidden_run, "original", Backend._is_hidden_run)
    found: dict[Any, int] = {}

    def is_hidden(backend: Any, run: Any, chain: Any) -> bool:
        verdict: bool = original(backend, run, chain)
        if verdict:
            found[run._r] = len("".join(run.text.split()))
        return verdict

    is_hidden.original = original  # type: ignore[attr-defined]
    setattr(Backend, "_is_hidden_run", is_hidden)  # noqa: B010
    return found
