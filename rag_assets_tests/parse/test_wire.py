"""The protocol: what is sent comes back equal, and nothing else is believed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import PolicyError, RagError
from rag.model import Block, BlockKind, ParsedDocument
from rag.parse import wire

DOCUMENT = ParsedDocument(
    text="Title\n\nBödy",
    blocks=(Block(BlockKind.HEADING, 0, 5, 1, 1, 1), Block(BlockKind.PARAGRAPH, 7, 11, 1, 2)),
    media_type="text/plain",
    warnings=("w",),
    metadata={"k": "v"},
)


def test_a_document_comes_back_equal() -> None:
    body = json.dumps(wire.document_json(DOCUMENT)).encode()
    assert wire.read_outcome(body) == DOCUMENT


def test_an_error_comes_back_with_type_code_and_facts() -> None:
    error = PolicyError("Too big.", code="file_too_large", limit=3)
    back = wire.read_outcome(json.dumps(wire.error_json(error)).encode())
    assert isinstance(back, PolicyError)
    assert (back.code, back.message, back.facts) == ("file_too_large", "Too big.", {"limit": 3})


def test_a_seal_fits_its_nonce_only() -> None:
    assert wire.unseal("n", wire.seal("n", b"body")) == b"body"
    with pytest.raises(wire.BrokenFrame):
        wire.unseal("m", wire.seal("n", b"body"))


def test_frames_survive_any_cutting() -> None:
    stream = wire.pack(wire.READY, b"one") + wire.pack(wire.PROGRESS, b"")
    reader = wire.FrameReader.start(100)
    found = [frame for byte in stream for frame in reader.feed(bytes([byte]))]
    assert found == [(wire.READY, b"one"), (wire.PROGRESS, b"")]


def test_a_frame_above_the_limit_is_refused_by_its_head() -> None:
    with pytest.raises(wire.BrokenFrame):
        wire.FrameReader.start(10).feed(wire.pack(wire.RESULT, b"x" * 11)[:5])


@given(st.binary())
def test_any_bytes_are_a_broken_result_or_an_outcome(data: bytes) -> None:
    try:
        outcome = wire.read_outcome(data)
    except wire.BrokenFrame:
        return
    assert isinstance(outcome, ParsedDocument | RagError)


@pytest.mark.parametrize("spans", [((0, 5), (3, 8)), ((0, 99),), ((6, 2),)])
def test_blocks_that_overlap_or_leave_the_text_are_refused(spans: tuple[tuple[int, int]]) -> None:
    blocks = [["paragraph", a, b] for a, b in spans]
    shape = {"document": {"text": "0123456789", "blocks": blocks, "media_type": "", "warnings": []}}
    with pytest.raises(wire.BrokenFrame):
        wire.read_outcome(json.dumps(shape).encode())
