"""The language between the pool and its children: framed messages, and results under a seal.

A frame is one kind byte, a four-byte length and that many bytes. A result is believed only when
its seal (SHA-256 over the request's nonce and the body) fits: a child that prints to the pipe, dies
in the middle of writing or answers an older request is never mistaken for a success.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, BinaryIO

from rag import errors
from rag.errors import PoisonError, RagError
from rag.model import Block, BlockKind, ParsedDocument
from rag.parse.attachments import Head

READY, PROGRESS, RESULT, REQUEST = b"H", b"P", b"D", b"Q"
_HEAD = struct.Struct(">cI")
_SEAL_BYTES = 32
_KINDS = frozenset({READY, PROGRESS, RESULT, REQUEST})


class BrokenFrame(Exception):
    """The bytes are no frame of ours, or one larger than allowed."""


@dataclass(slots=True)
class FrameReader:
    """Cuts a stream of bytes into frames; keeps what is incomplete for the next call."""

    max_bytes: int
    _buffer: bytearray

    @classmethod
    def start(cls, max_bytes: int) -> FrameReader:
        return cls(max_bytes, bytearray())

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """The complete frames now known. Raises BrokenFrame on anything else."""
        self._buffer += data
        frames = []
        while len(self._buffer) >= _HEAD.size:
            kind, size = _HEAD.unpack_from(self._buffer)
            if kind not in _KINDS or size > self.max_bytes:
                raise BrokenFrame("not a frame" if kind not in _KINDS else "frame too large")
            end = _HEAD.size + size
            if len(self._buffer) < end:
                break
            frames.append((kind, bytes(self._buffer[_HEAD.size : end])))
            del self._buffer[:end]
        return frames


def pack(kind: bytes, body: bytes) -> bytes:
    """One frame, ready to be written."""
    return _HEAD.pack(kind, len(body)) + body


def pack_json(kind: bytes, value: Mapping[str, object]) -> bytes:
    """One frame with a JSON body."""
    return pack(kind, json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def read_frame(stream: BinaryIO, max_bytes: int) -> tuple[bytes, bytes] | None:
    """The next frame of a blocking stream, None at its end. Raises BrokenFrame."""
    head = stream.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    kind, size = _HEAD.unpack(head)
    if kind not in _KINDS or size > max_bytes:
        raise BrokenFrame("not a frame")
    body = stream.read(size)
    return (kind, body) if len(body) == size else None


def seal(nonce: str, body: bytes) -> bytes:
    """`body` under its seal: what a RESULT frame carries."""
    return hashlib.sha256(nonce.encode() + b"\0" + body).digest() + body


def unseal(nonce: str, sealed: bytes) -> bytes:
    """The body under a seal. Raises BrokenFrame when the seal does not fit."""
    mark, body = sealed[:_SEAL_BYTES], sealed[_SEAL_BYTES:]
    if hashlib.sha256(nonce.encode() + b"\0" + body).digest() != mark:
        raise BrokenFrame("the seal does not fit")
    return body


def document_json(document: ParsedDocument) -> dict[str, object]:
    """A parsed document as JSON values."""
    values = {field.name: getattr(document, field.name) for field in fields(document)}
    return {"document": values | {"metadata": dict(document.metadata)}}


def heads_json(heads: Sequence[Head]) -> dict[str, object]:
    """What a child says of attached files, as JSON values."""
    return {"attachments": [list(head) for head in heads]}


def read_heads(body: bytes) -> list[Head] | RagError:
    """What `heads_json` or `error_json` wrote. Raises BrokenFrame on anything else."""
    try:
        value = json.loads(body)
        if "error" in value:
            return _error(value["error"])
        return [Head(str(n), str(kind), int(size)) for n, kind, size in value["attachments"]]
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise BrokenFrame("the result is no list of attachments") from exc


def error_json(error: RagError) -> dict[str, object]:
    """An error as JSON values; facts that JSON does not know become text."""
    facts = {
        name: value if isinstance(value, str | int | float | bool | None) else str(value)
        for name, value in error.facts.items()
    }
    shape = {"type": type(error).__name__, "code": error.code, "message": error.message}
    return {"error": shape | {"facts": facts}}


def read_outcome(body: bytes) -> ParsedDocument | RagError:
    """What `document_json` or `error_json` wrote. Raises BrokenFrame on anything else."""
    try:
        value = json.loads(body)
        if "error" in value:
            return _error(value["error"])
        return _document(value["document"])
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise BrokenFrame("the result is not a document") from exc


def read_error(body: bytes) -> RagError:
    """What `error_json` wrote. Raises BrokenFrame on anything else."""
    try:
        return _error(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise BrokenFrame("the result is no error") from exc


def read_sizes(body: bytes) -> list[int]:
    """How long the pictures are that a child set aside. Raises BrokenFrame."""
    try:
        return [int(size) for size in json.loads(body).get("pictures", [])]
    except (ValueError, TypeError, AttributeError) as exc:
        raise BrokenFrame("the result is no list of pictures") from exc


def _error(shape: dict[str, Any]) -> RagError:
    made = getattr(errors, str(shape["type"]), PoisonError)
    if not (isinstance(made, type) and issubclass(made, RagError)):
        made = PoisonError
    facts = {str(name): value for name, value in dict(shape["facts"]).items()}
    return made(str(shape["message"]), code=str(shape["code"]), **facts)


def _document(shape: dict[str, Any]) -> ParsedDocument:
    blocks = tuple(Block(BlockKind(kind), *rest) for kind, *rest in shape.pop("blocks"))
    warnings = tuple(str(w) for w in shape.pop("warnings"))
    document = ParsedDocument(blocks=blocks, warnings=warnings, **shape)
    end = 0
    for block in blocks:
        if not end <= block.start <= block.end <= len(document.text):
            raise ValueError("blocks out of order")
        end = block.end
    return document
