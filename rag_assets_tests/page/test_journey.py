"""The whole way in a browser: upload, watch it become searchable, ask, open the citation, say what
it was worth; against the real service, parser, model and store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rag.store.database import connect
from rag_assets_tests.page.accessibility import faults
from rag_assets_tests.page.conftest import OpenPage

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
NASTY = "<img src=x onerror=\"document.title='owned'\">"
PARAGRAPHS = [
    "The haul rope of line B is inspected every 200 operating hours, and in any case once a month.",
    "Two people carry out the inspection. Both of them sign the rope book before the line opens.",
    "Lubrication takes place in dry weather only, with the grease named in the maintenance plan.",
    f"A note that was left in the file: {NASTY} is not part of the bulletin.",
]


def bulletin(path: Path) -> Path:
    """A PDF of two pages; what the tests ask stands on the second."""
    from xml.sax.saxutils import escape

    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate, Spacer

    style = getSampleStyleSheet()
    story: list[Any] = [
        Paragraph("Bulletin EB-99: ropes", style["Title"]),
        Paragraph("This bulletin replaces all earlier ones of the engineering office.",
                  style["BodyText"]),
        PageBreak(), Paragraph("Inspection of the haul rope", style["Heading1"]),
    ]  # fmt: skip
    for text in PARAGRAPHS:
        story += [Paragraph(escape(text), style["BodyText"]), Spacer(1, 12)]
    SimpleDocTemplate(str(path), pagesize=A4, title=f"Bulletin {NASTY}").build(story)
    return path


@pytest.fixture
def service(postgres_server: str, empty_database: str, tmp_path: Path) -> Iterator[str]:
    """`rag serve` on a database and a bucket of its own; stopped as an operator would."""
    from rag.stack.object_store import embedded_object_store
    from rag.store.migration import migrate

    migrate(empty_database)
    home = tmp_path / "home"
    with embedded_object_store(home) as s3:
        environment = {
            **os.environ, **s3.environment(), "RAG_DATABASE_URL": empty_database,
            "RAG_HOME": str(home), "RAG_API_PORT": "0", "RAG_OCR": "off",
        }  # fmt: skip
        command = [sys.executable, "-m", "rag.cli.main"]
        log = (tmp_path / "service.log").open("wb")
        process = subprocess.Popen(
            [*command, "serve", "--json"], cwd=ROOT, env=environment,
            stdout=subprocess.PIPE, stderr=log,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            wait_ready(url, process)
            with ingesting(environment, empty_database):
                yield url
        finally:
            process.terminate()
            process.communicate(timeout=40)
            log.close()


def wait_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    """Return when the model is warm."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        assert process.poll() is None
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=10):
                return
        except OSError:
            time.sleep(0.3)
    raise AssertionError("not ready")


class ingesting:
    """Does what the sensors do: brings the collection up to date when something new is hinted."""

    def __init__(self, environment: dict[str, str], database_url: str) -> None:
        self._environment, self._database_url = environment, database_url
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self.errors: list[str] = []

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join(200)
        assert self.errors == []

    def _work(self) -> None:
        with connect(self._database_url) as conn:
            while not self._is_over.wait(0.3):
                if conn.execute("select uri from hint").fetchone():
                    self._ingest()

    def _ingest(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "rag.cli.main", "ingest", "--collection", "acme/ropes"],
            cwd=ROOT, env=self._environment, capture_output=True, timeout=180, text=True,
            check=False,
        )  # fmt: skip
        if done.returncode not in (0, 3):
            self.errors.append(done.stderr[-2000:])


def test_from_a_file_to_a_judged_answer(
    service: str, open_page: OpenPage, tmp_path: Path, empty_database: str
) -> None:
    page = open_page(service)
    page.set_default_timeout(120_000)
    page.get_by_role("link", name="Add files").click()
    page.fill("#upload-into", "acme/ropes")
    page.set_input_files("#upload-files", str(bulletin(tmp_path / "bulletin.pdf")))
    page.wait_for_selector("#uploads .good")
    page.wait_for_selector("table.list .badge.live")
    assert "bulletin.pdf" in page.inner_text("table.list")
    assert faults(page) == []

    page.get_by_role("link", name="Ask", exact=True).click()
    page.fill("#question", "How often is the haul rope of line B inspected?")
    page.keyboard.press("Enter")
    page.wait_for_selector(".feedback")
    assert "200 operating hours" in page.inner_text(".answer")
    assert faults(page) == []

    page.click(".answer .cite >> nth=0")
    page.wait_for_selector("#passage img.sheet")
    assert "page 2 of 2" in page.inner_text("#passage-where")
    width = page.evaluate("document.querySelector('#passage img').naturalWidth")
    assert width > 800
    page.click("#show-text")
    page.wait_for_selector("#passage mark")
    assert "200 operating hours" in page.inner_text("#passage mark")
    assert NASTY in page.inner_text("#passage-body")
    page.click("text=This is the right passage")
    page.wait_for_selector("text=Thank you")

    page.get_by_role("link", name="System").click()
    page.wait_for_selector(".tile")
    assert faults(page) == []
    assert "owned" not in page.title()
    with connect(empty_database) as conn:
        (said,) = conn.execute(
            "select feedback.thumb, expected_ordinal, document.uri from feedback"
            " join document on document.id = expected_document_id"
        ).fetchall()
    assert said["thumb"] == "down" and said["uri"].endswith("/bulletin.pdf")
