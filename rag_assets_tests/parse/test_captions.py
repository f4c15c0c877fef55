"""Pictures are described by a vision endpoint, in their places; whatever it does, no document is
lost and no wait is endless."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from rag.errors import ConfigurationError, RagError
from rag.model import BlockKind, ParsedDocument
from rag.parse.captions import CaptionConfig, VisionModel, captioned
from rag.parse.child_config import ChildConfig
from rag.parse.cleaning import CleaningConfig
from rag.parse.configuration import caption_config
from rag.parse.convert import parse_file
from rag.parse.limits import ParseLimits
from rag.parse.ocr import OcrConfig
from rag.parse.pictures import Shelf, set_aside
from rag.parse.pool import DoclingParser
from rag.ports import ParseJob
from rag.settings import Settings

pytestmark = pytest.mark.slow

SAYS = "A red cabin hangs over the valley."
TIMEOUT_S = 1.0


@dataclass
class Endpoint:
    """A vision endpoint on loopback that behaves as `answer` says; `seen` is what it was sent."""

    url: str = ""
    answer: Callable[[BaseHTTPRequestHandler], None] = lambda handler: None
    seen: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)

    def model(self, **more: Any) -> VisionModel:
        options = {"api_key": "k-148", "timeout_s": TIMEOUT_S, **more}
        return VisionModel(CaptionConfig(self.url, "vision-1", **options))


def reply(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200) -> None:
    handler.send_response(status)
    handler.send_header("content-type", "application/json")
    handler.send_header("content-length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def completion(text: object) -> bytes:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    head = {"id": "1", "object": "chat.completion", "created": 1, "model": "vision-1"}
    return json.dumps({**head, "choices": [choice]}).encode()


def says(text: object) -> Callable[[BaseHTTPRequestHandler], None]:
    return lambda handler: reply(handler, completion(text))


def drips(handler: BaseHTTPRequestHandler) -> None:
    """One byte now and then: no single read ever takes long."""
    handler.send_response(200)
    handler.send_header("content-length", "1000")
    handler.end_headers()
    try:
        for _ in range(100):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.1)
    except OSError:
        return


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    found = Endpoint(answer=says(SAYS))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers["content-length"])
            found.seen.append(json.loads(self.rfile.read(size)))
            found.keys.append(self.headers["authorization"])
            found.answer(self)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


def picture(side: int = 200, colour: int = 0) -> Image.Image:
    return Image.new("RGB", (side, side), (200, colour, 10))


def pdf(path: Path, *pictures: Image.Image) -> Path:
    canvas = Canvas(str(path))
    for number, image in enumerate(pictures, 1):
        canvas.drawString(72, 700, f"Text of page {number} stands here.")
        canvas.drawImage(ImageReader(image), 72, 300, 200, 200)
        canvas.showPage()
    canvas.save()
    return path


def parsed(path: Path, *, min_side: int = 100) -> tuple[ParsedDocument, list[bytes]]:
    """What the child makes of a file, and the pictures it set aside."""
    folder = path.parent / "out"
    folder.mkdir()
    shelf = Shelf(folder, min_side)
    config = ChildConfig(ParseLimits(), CleaningConfig(), folder, None, OcrConfig("off"))
    with set_aside(shelf):
        document = parse_file(path, path.name, (), config, lambda **_: None)
    return document, [(folder / str(n)).read_bytes() for n in range(len(shelf.sizes))]


def kinds(document: ParsedDocument) -> list[tuple[BlockKind, int | None]]:
    return [(block.kind, block.page_first) for block in document.blocks]


def test_a_picture_is_described_on_its_page(endpoint: Endpoint, tmp_path: Path) -> None:
    document, jpegs = parsed(pdf(tmp_path / "x.pdf", picture(), picture(colour=90)))
    document = captioned(document, jpegs, endpoint.model())
    assert document.text == (
        f"Text of page 1 stands here.\n\n[Image] {SAYS}\n\n"
        f"Text of page 2 stands here.\n\n[Image] {SAYS}"
    )
    assert kinds(document)[1::2] == [(BlockKind.FIGURE, 1), (BlockKind.FIGURE, 2)]
    assert document.metadata["captions"] == "2"
    assert document.warnings == ()
    assert endpoint.keys == ["Bearer k-148"] * 2
    sent = endpoint.seen[0]["messages"][0]["content"][1]["image_url"]["url"]
    jpeg = base64.b64decode(sent.removeprefix("data:image/jpeg;base64,"))
    assert Image.open(io.BytesIO(jpeg)).size == (200, 200)


def test_small_and_repeated_pictures_are_not_described(tmp_path: Path) -> None:
    path = pdf(tmp_path / "x.pdf", picture(), picture(), picture(60, 90))
    document, jpegs = parsed(path)
    assert len(jpegs) == 1
    assert [page for kind, page in kinds(document) if kind is BlockKind.FIGURE] == [1]


def test_at_most_so_many_pictures_of_a_document_are_described(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    found = parsed(pdf(tmp_path / "x.pdf", *(picture(colour=20 * n) for n in range(4))))
    document = captioned(*found, endpoint.model(most=2))
    assert len(endpoint.seen) == 2
    assert document.text.count("[Image]") == 2
    assert "\ue000" not in document.text


def test_an_image_file_is_its_description(endpoint: Endpoint, tmp_path: Path) -> None:
    picture().save(tmp_path / "x.png")
    document = captioned(*parsed(tmp_path / "x.png"), endpoint.model())
    assert document.text == f"[Image] {SAYS}"


def test_a_picture_that_describes_itself_is_not_sent(tmp_path: Path) -> None:
    from docx import Document

    made = Document()
    for colour in (0, 90):
        data = io.BytesIO()
        picture(colour=colour).save(data, "PNG")
        run = made.add_paragraph("Text.").add_run()
        run.add_picture(data)
    run._r.xpath(".//wp:docPr")[0].set("descr", "Its own words")
    made.save(str(tmp_path / "x.docx"))
    document, jpegs = parsed(tmp_path / "x.docx")
    assert len(jpegs) == 2
    figures = [document.text[b.start : b.end] for b in document.blocks if b.kind == "figure"]
    assert figures == ["[Image] \ue0000\ue000", "[Image] Its own words"]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Sure! Here is a description: A red cabin.", "A red cabin."),
        ("Here's what I see: a  red\ncabin\u200b.", "a red cabin."),
        ("A certainly red cabin.", "A certainly red cabin."),
        ("x" * 5_000, "x" * 800),
    ],
)
def test_a_description_is_one_clean_line_without_opening_words(
    endpoint: Endpoint, tmp_path: Path, said: str, kept: str
) -> None:
    endpoint.answer = says(said)
    document = captioned(*parsed(pdf(tmp_path / "x.pdf", picture())), endpoint.model())
    assert document.text.endswith(f"[Image] {kept}")


FAULTS: dict[str, tuple[Callable[[BaseHTTPRequestHandler], None], str]] = {
    "slow": (lambda _: time.sleep(3), "captioner_unavailable"),
    "drips": (drips, "captioner_unavailable"),
    "500": (lambda handler: reply(handler, b"{}", 500), "captioner_unavailable"),
    "429": (lambda handler: reply(handler, b"{}", 429), "caption_rate_limited"),
    "401": (lambda handler: reply(handler, b'{"error": "k-148"}', 401), "caption_refused"),
    "not json": (lambda handler: reply(handler, b"<html>"), "caption_malformed"),
    "no choices": (lambda handler: reply(handler, b'{"choices": []}'), "caption_malformed"),
    "null": (lambda handler: reply(handler, b"null"), "caption_malformed"),
    "no text": (says(None), "caption_malformed"),
    "hangs up": (lambda handler: handler.connection.close(), "captioner_unavailable"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_endpoint_costs_the_description_and_says_so(
    endpoint: Endpoint, tmp_path: Path, fault: str
) -> None:
    endpoint.answer, code = FAULTS[fault]
    found = parsed(pdf(tmp_path / "x.pdf", picture()))
    started = time.monotonic()
    document = captioned(*found, endpoint.model())
    assert time.monotonic() - started < TIMEOUT_S + 2
    assert len(endpoint.seen) == 1
    assert document.text == "Text of page 1 stands here."
    assert document.is_partial
    assert document.warnings == (f"pictures_without_caption: 1 of 1 pictures ({code})",)


def test_an_endpoint_that_is_away_is_asked_once_per_document(tmp_path: Path) -> None:
    found = parsed(pdf(tmp_path / "x.pdf", *(picture(colour=20 * n) for n in range(4))))
    model = VisionModel(CaptionConfig("http://127.0.0.1:9/v1", "vision-1", timeout_s=TIMEOUT_S))
    document = captioned(*found, model)
    (warning,) = document.warnings
    assert warning == "pictures_without_caption: 4 of 4 pictures (captioner_unavailable)"


def test_a_picture_alone_that_can_not_be_described_is_no_document(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    endpoint.answer = FAULTS["500"][0]
    picture().save(tmp_path / "x.png")
    found = parsed(tmp_path / "x.png")
    with pytest.raises(RagError) as caught:
        captioned(*found, endpoint.model())
    assert caught.value.code == "no_text"


def test_the_configuration_names_the_results_and_never_the_key() -> None:
    config = CaptionConfig("http://h/v1", "m", api_key="k-148")
    assert "k-148" not in repr(config) + json.dumps(config.identity())
    off, on = DoclingParser(), DoclingParser(captioner=VisionModel(config))
    assert {**off.config, "captions": config.identity()} == on.config


def test_captions_are_off_unless_an_endpoint_and_a_model_are_named() -> None:
    assert caption_config(Settings()) is None
    with pytest.raises(ConfigurationError) as caught:
        caption_config(Settings(caption_base_url="http://h/v1"))
    assert caught.value.code == "caption_model_not_named"


@pytest.mark.slow
def test_the_confined_child_hands_pictures_to_the_worker(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    path = pdf(tmp_path / "x.pdf", picture())
    with DoclingParser(workers=1, ocr=OcrConfig("off"), captioner=endpoint.model()) as parser:
        (found,) = parser.parse([ParseJob(1, path, "x.pdf")])
        assert found.document is not None
        assert found.document.text.endswith(f"[Image] {SAYS}")
        (plain,) = parser.parse([ParseJob(1, _text(tmp_path), "x.txt")])
        assert plain.document is not None
        assert plain.document.text == "No picture here."


def _text(folder: Path) -> Path:
    path = folder / "x.txt"
    path.write_text("No picture here.", encoding="utf-8")
    return path
