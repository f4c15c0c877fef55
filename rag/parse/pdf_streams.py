"""The compressed streams of a PDF, inflated into nothing before a parser inflates them for real.

Reads the file's bytes, not its object tree: what can not be found this way (encrypted streams,
LZW) is left to the limits of the child. Bounded memory: one chunk at a time.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from rag.errors import PolicyError
from rag.parse.limits import ParseLimits

_STREAM = re.compile(rb"stream(?:\r\n|\n|\r(?!\n))")
_OBJECT = re.compile(rb"\d\s+\d+\s+obj\b")
_FILTER = re.compile(rb"/Filter\s*(\[[^\]]*\]|/[A-Za-z0-9]+)")
_NAME = re.compile(rb"/([A-Za-z0-9]+)")
_IMAGE = re.compile(rb"/Subtype\s*/Image\b|/DCTDecode|/JPXDecode|/CCITTFaxDecode|/JBIG2Decode")
_STATE = re.compile(rb"(?<![^\s\x00\[\]<>(){}/%])[qQ](?![^\s\x00\[\]<>(){}/%])")
_FLATE = frozenset({b"FlateDecode", b"Fl"})
_CHUNK = 1024 * 1024
_LOOK_BACK = 4096


def check_streams(path: Path, limits: ParseLimits) -> None:
    """Raises PolicyError (`pdf_bomb`) when a stream inflates beyond `pdf_stream_bytes`, all of
    them beyond `pdf_inflated_bytes`, or graphics states are nested beyond `pdf_states`."""
    data = path.read_bytes()
    total = open_states = 0
    for head, body in _streams(data):
        filters = _filters(head)
        if not filters or _IMAGE.search(head):
            continue
        inflated, states = _measure(body, filters, limits)
        total += inflated
        open_states += states
        if total > limits.pdf_inflated_bytes:
            raise _bomb(f"{total} bytes when inflated", limits.pdf_inflated_bytes)
        if open_states > limits.pdf_states:
            raise _bomb(f"{open_states} nested graphics states", limits.pdf_states)


def _streams(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """The dictionary and the bytes up to the next `endstream` of every stream."""
    view, at = memoryview(data), 0
    while (found := _STREAM.search(data, at)) is not None:
        start = found.end()
        if data[found.start() - 3 : found.start()] == b"end":
            at = start
            continue
        end = data.find(b"endstream", start)
        end = len(data) if end < 0 else end
        head = data[max(0, found.start() - _LOOK_BACK) : found.start()]
        begins = [m.start() for m in _OBJECT.finditer(head)]
        yield head[begins[-1] if begins else 0 :], view[start:end]
        at = end


def _filters(head: bytes) -> list[bytes]:
    """The leading filters that are undone here; [] when the first one is none of them."""
    found = _FILTER.search(head)
    names = _NAME.findall(found[1]) if found else []
    known = []
    for name in names:
        if name not in _FLATE and name not in (b"ASCIIHexDecode", b"ASCII85Decode"):
            break
        known.append(name)
    return known


def _measure(body: memoryview, filters: list[bytes], limits: ParseLimits) -> tuple[int, int]:
    """Bytes that come out, and graphics states that are open at the end or nested on the way."""
    size, depth, deepest = 0, 0, 0
    for chunk in _decoded(_chunks(body), filters, limits.pdf_stream_bytes):
        size += len(chunk)
        if chunk.count(b"q") > 500:
            for state in _STATE.findall(chunk):
                depth += 1 if state == b"q" else -1
                deepest = max(deepest, depth)
        if deepest > limits.pdf_states:
            break
    return size, deepest if deepest > limits.pdf_states else max(0, depth)


def _chunks(body: memoryview) -> Iterator[bytes]:
    for at in range(0, len(body), _CHUNK):
        yield bytes(body[at : at + _CHUNK])


def _decoded(chunks: Iterator[bytes], filters: list[bytes], most: int) -> Iterator[bytes]:
    for name in filters:
        chunks = _inflated(chunks, most) if name in _FLATE else _from_ascii(chunks, name)
    return chunks


def _inflated(chunks: Iterator[bytes], most: int) -> Iterator[bytes]:
    """Ends where the data is damaged, as readers do. Raises PolicyError (`pdf_bomb`)."""
    machine, size = zlib.decompressobj(), 0
    for chunk in chunks:
        while chunk:
            try:
                out = machine.decompress(chunk, _CHUNK)
            except zlib.error:
                return
            size += len(out)
            if size > most:
                raise _bomb(f"a stream of more than {most} bytes when inflated", most)
            yield out
            chunk = machine.unconsumed_tail
            if not out and not chunk:
                break


def _from_ascii(chunks: Iterator[bytes], name: bytes) -> Iterator[bytes]:
    text = b"".join(b"".join(chunks).split())
    try:
        if name == b"ASCIIHexDecode":
            digits = text.partition(b">")[0]
            yield binascii.unhexlify(digits + b"0" * (len(digits) % 2))
        else:
            yield base64.a85decode(text.removeprefix(b"<~").partition(b"~>")[0])
    except ValueError:
        return


def _bomb(seen: str, limit: int) -> PolicyError:
    return PolicyError(
        f"The PDF has {seen}, more than the {limit} allowed: it is refused as a bomb; raise the "
        "limit only if you trust its origin.",
        code="pdf_bomb",
        limit=limit,
    )
