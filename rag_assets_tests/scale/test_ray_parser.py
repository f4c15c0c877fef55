"""Parsing on Ray ends as parsing here does, whatever happens to its workers."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msoffcrypto
import pytest
from docx import Document
from reportlab.pdfgen.canvas import Canvas

from rag.errors import ConfigurationError, UnavailableError
from rag.parse.configuration import ParserParts
from rag.parse.limits import ParseLimits
from rag.parse.ocr import OcrConfig
from rag.ports import FileLimits, ParseJob, ParseOutcome
from rag.scale.cluster import Cluster
from rag.scale.parser import RayParser
from rag_assets_tests.scale.workers import killed_while_working, working
from rag_assets_tests.stack.processes import eventually

pytestmark = pytest.mark.slow
PARTS = ParserParts(ParseLimits(), None, OcrConfig("off"), None)
KEY = "open sesame 148"


def job(folder: Path, key: int, name: str, data: bytes, *passwords: str) -> ParseJob:
    path = folder / f"{key}-{name}"
    path.write_bytes(data)
    return ParseJob(key, path, name, passwords)


def pdf(words: str, pages: int = 1) -> bytes:
    data = io.BytesIO()
    canvas = Canvas(data, invariant=1)
    for page in range(pages):
        for line in range(50):
            canvas.drawString(40, 30 + 14 * line, f"{words} on page {page} in line {line}")
        canvas.showPage()
    canvas.save()
    return data.getvalue()


def locked_docx(text: str) -> bytes:
    plain, locked = io.BytesIO(), io.BytesIO()
    document = Document()
    document.add_paragraph(text)
    document.save(plain)
    plain.seek(0)
    file = msoffcrypto.OfficeFile(plain)
    file.encrypt(KEY, locked)
    return locked.getvalue()


def jobs(folder: Path) -> list[ParseJob]:
    return [
        job(folder, 3, "report.pdf", pdf("The wind gauge froze", 3)),
        job(folder, 5, "notes.md", b"# Winter\n\nSnow fell.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"),
        job(folder, 7, "broken.pdf", b"%PDF-1.4\nnothing of a PDF"),
        job(folder, 8, "empty.txt", b""),
        job(folder, 9, "page.html", b"<html><body><h1>Lift</h1><p>It stands.</p></body></html>"),
        job(folder, 11, "locked.docx", locked_docx("Behind the lock."), "wrong", KEY),
        replace(job(folder, 13, "gone.txt", b"x"), path=folder / "gone"),
        replace(
            job(folder, 15, "large.txt", b"far too large" * 99),
            limits=FileLimits(1000, 10, 30.0, 10**9),
        ),
        *(job(folder, 20 + n, f"{n}.txt", f"Line {n} stands here.".encode()) for n in range(12)),
    ]


def by_key(outcomes: Iterator[ParseOutcome]) -> dict[int, ParseOutcome]:
    found = list(outcomes)
    assert len({outcome.key for outcome in found}) == len(found)
    return {outcome.key: outcome for outcome in found}


def ends(outcomes: dict[int, ParseOutcome]) -> dict[int, object]:
    """How each job ended: its document, or its error's type, code and message."""
    return {
        key: outcome.document
        or (type(outcome.error), outcome.error and (outcome.error.code, outcome.error.message))
        for key, outcome in outcomes.items()
    }


@pytest.fixture(scope="module")
def parser(cluster: Cluster) -> Iterator[RayParser]:
    found = RayParser(cluster, PARTS, workers=1)
    yield found
    found.close()


def test_every_file_ends_on_the_cluster_as_it_ends_here(parser: RayParser, tmp_path: Path) -> None:
    asked = jobs(tmp_path)
    with PARTS.open(workers=1) as here:
        expected = ends(by_key(here.parse(asked)))
        assert here.config == parser.config
    assert ends(by_key(parser.parse(asked))) == expected
    codes = {outcome[1][0] for outcome in expected.values() if isinstance(outcome, tuple)}
    assert codes == {"corrupt_file", "empty_file", "file_unreadable", "file_too_large"}


def test_both_workers_get_work(parser: RayParser, tmp_path: Path) -> None:
    asked = [job(tmp_path, n, f"{n}.pdf", pdf(f"Text {n}", 20)) for n in range(8)]
    seen = set()
    outcomes = parser.parse(asked)
    first = next(outcomes)
    for _ in range(100):
        seen |= {process.pid for process in working("parse_file")}
        time.sleep(0.01)
    assert first.document is not None
    assert all(outcome.document for outcome in outcomes)
    assert len(seen) >= 2


def test_a_password_is_not_sent(
    parser: RayParser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[object] = []
    original = RayParser._sent

    def spied(self: RayParser, send: object, job: ParseJob, data: bytes) -> object:
        class Spy:
            def remote(self, *values: object) -> object:
                sent.extend(values)
                return send.remote(*values)  # type: ignore[attr-defined]

        return original(self, Spy(), job, data)

    monkeypatch.setattr(RayParser, "_sent", spied)
    (outcome,) = parser.parse([job(tmp_path, 1, "a.docx", locked_docx("Behind."), KEY)])
    assert outcome.document is not None
    assert len(sent) == 5
    assert KEY not in repr(sent)
    assert KEY.encode() not in b"".join(value for value in sent if isinstance(value, bytes))


def test_a_killed_worker_loses_no_file(parser: RayParser, tmp_path: Path) -> None:
    asked = [job(tmp_path, n, f"{n}.pdf", pdf(f"Text {n}", 40)) for n in range(4)]
    with PARTS.open(workers=1) as here:
        expected = ends(by_key(here.parse(asked)))
    with killed_while_working("parse_file") as killed:
        found = ends(by_key(parser.parse(asked)))
    assert killed, "no worker was killed while it parsed"
    assert found == expected


def test_without_a_second_try_a_killed_worker_is_the_clusters_fault_and_no_files(
    cluster: Cluster, tmp_path: Path
) -> None:
    asked = [job(tmp_path, n, f"{n}.pdf", pdf(f"Text {n}", 40)) for n in range(3)]
    once = RayParser(cluster, PARTS, workers=1, retries=0)
    with (
        killed_while_working("parse_file") as killed,
        pytest.raises(UnavailableError) as caught,
    ):
        list(once.parse(asked))
    once.close()
    assert killed
    assert caught.value.code == "ray_worker_lost"


def test_a_worker_with_another_parser_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    class Elsewhere(RayParser):
        """Expects what no node has."""

    other = Elsewhere(cluster, PARTS, workers=1)
    other.config = {**other.config, "assembly": 0}
    with pytest.raises(ConfigurationError) as caught:
        list(other.parse([job(tmp_path, 1, "a.txt", b"text")]))
    other.close()
    assert caught.value.code == "ray_worker_differs"


def test_closing_the_generator_ends_what_runs(parser: RayParser, tmp_path: Path) -> None:
    long = pdf("A long text", 400)
    asked = [job(tmp_path, 0, "a.txt", b"A short text.")]
    asked += [job(tmp_path, n, f"{n}.pdf", long) for n in range(1, 6)]
    outcomes = parser.parse(asked)
    assert next(outcomes).document is not None
    assert eventually(lambda: bool(working("parse_file")))
    outcomes.close()  # type: ignore[attr-defined]
    assert eventually(lambda: not working("parse_file"))
    assert by_key(parser.parse([job(tmp_path, 9, "b.txt", b"Another.")]))[9].document is not None


def test_an_address_where_nobody_listens_is_told_at_once() -> None:
    pytest.importorskip("ray", reason="Ray is not installed: rag-assets[ray]")
    with pytest.raises(UnavailableError) as caught:
        Cluster("127.0.0.1:9")._connect(None)
    assert caught.value.code == "ray_unavailable"
