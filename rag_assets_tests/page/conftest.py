"""A headless Chromium of the system's, and the page in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rag_assets_tests.page.stand_in import StandIn, furnished, served

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

_NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """The system's Chromium. Not for the session: its event loop would be in every later test."""
    path = next((found for name in _NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("Chromium is not installed: apt install chromium")
    # root may not use its sandbox; what it opens here are our own pages
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=flags)
        yield chromium
        chromium.close()


OpenPage = Callable[..., Any]


@pytest.fixture
def open_page(browser: Any) -> Iterator[OpenPage]:
    """Open an address; whatever the page throws or is forbidden by its policy fails the test."""
    contexts, wrong = [], []

    def note(message: Any) -> None:
        # answers with an error status are part of some tests
        if message.type == "error" and "Failed to load resource" not in message.text:
            wrong.append(message.text)

    def open_at(
        url: str, *, width: int = 1280, scheme: str = "light", is_watched: bool = True, **more: Any
    ) -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, **more
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        if is_watched:
            page.on("console", note)
            page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(url)
        return page

    yield open_at
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    """A service with documents in every state."""
    with served(furnished()) as running:
        yield running
