"""Small hostile files through the real children: each ends inside its budget, with its code."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path

import psutil
import pytest

from rag.parse.limits import MIB, ParseLimits
from rag.parse.pool import DoclingParser
from rag.ports import ParseJob, ParseOutcome

pytestmark = pytest.mark.slow
LIMITS = ParseLimits(wall_s=25, memory_bytes=600 * MIB)


def end_of(data: bytes, folder: Path) -> ParseOutcome:
    path = folder / "bomb"
    path.write_bytes(data)
    with DoclingParser(LIMITS, workers=1) as pool:
        (found,) = pool.parse([ParseJob(1, path, "bomb")])
    return found


def pdf(content: bytes, filters: str) -> bytes:
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R>>",
        b"<</Length %d/Filter%s>>stream\n%s\nendstream" % (len(content), filters.encode(), content),
    ]
    out = bytearray(b"%PDF-1.4\n")
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    tail = (
        b"xref\n0 5\n0000000000 65535 f \n%strailer<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF"
    )
    return bytes(out) + tail % (table, len(out))


def squeezed(data: bytes, times: int) -> bytes:
    for _ in range(times):
        data = zlib.compress(data, 9)
    return data


@pytest.mark.parametrize(
    "data",
    [
        pdf(squeezed(b"0 " * 200_000_000, 2), "[/FlateDecode/FlateDecode]"),
        pdf(squeezed(b"q " * 1_500_000, 1), "/FlateDecode"),
    ],
    ids=["double flate", "nested states"],
)
def test_a_pdf_bomb_ends_inside_its_budget_and_the_worker_does_not_grow(
    tmp_path: Path, data: bytes
) -> None:
    assert len(data) < 20_000
    before = psutil.Process().memory_info().rss
    found = end_of(data, tmp_path)
    assert found.error is not None
    assert found.error.code in {
        "parse_memory",
        "parse_timeout",
        "parser_crashed",
        "corrupt_file",
        "no_text",
    }
    assert found.seconds < 2 * LIMITS.wall_s + 10
    assert psutil.Process().memory_info().rss - before < 50 * MIB


def test_a_document_of_entities_does_not_expand(tmp_path: Path) -> None:
    entities = "".join(f"<!ENTITY e{i} '{f'&e{i - 1};' * 10 if i else 'boom'}'>" for i in range(12))
    body = (
        f"<?xml version='1.0'?><!DOCTYPE d [{entities}]><w:document xmlns:w='x'>&e11;</w:document>"
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr("[Content_Types].xml", "<Types/>")
        made.writestr("word/document.xml", body)
    found = end_of(out.getvalue(), tmp_path)
    assert found.error is not None
    assert found.error.kind == "poison"
    assert found.seconds < 20
