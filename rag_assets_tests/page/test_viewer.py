"""GET /docs shows the API from what the service itself serves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rag.api import page_routes
from rag.api.pool import Database
from rag.api.service import Service
from rag.api.warmth import WarmEmbedder
from rag.settings import Settings
from rag_assets_tests.api.running import running
from rag_assets_tests.fakes_embed import FakeEmbedder
from rag_assets_tests.page.conftest import OpenPage

pytestmark = pytest.mark.slow


@pytest.fixture
def url(database_url: str) -> Iterator[str]:
    settings = Settings()
    service = Service(
        settings, Database(database_url, settings), WarmEmbedder(FakeEmbedder), None, None, "fake"  # type: ignore[arg-type]
    )  # fmt: skip
    with running(service) as at:
        yield at


def test_the_viewer_lists_the_routes_and_loads_nothing_from_elsewhere(
    url: str, open_page: OpenPage
) -> None:
    page = open_page("about:blank")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{url}/docs")

    page.locator("text=/rag").first.wait_for()

    assert page.locator(".opblock").count() >= 20
    assert len(asked) >= 4 and all(each.startswith((url, "data:")) for each in asked)


def test_no_file_of_the_page_or_the_viewer_is_missing() -> None:
    assert page_routes.missing() == []
