"""Copying an object's bytes to a local file: whole, counted and hashed, or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from rag.errors import TransientError

BLOCK_BYTES = 256 * 1024


class Written(NamedTuple):
    """What was written."""

    size_bytes: int
    md5: str


def write_blocks(blocks: Iterable[bytes], target: Path) -> Written:
    """Write the blocks to `target`. Raises TransientError (`disk_full`) when it can not."""
    size = 0
    # compared with the store's own checksum, not a protection against forgery
    hasher = hashlib.md5(usedforsecurity=False)
    with _open(target) as file:
        for block in blocks:
            _write(file, block, target)
            hasher.update(block)
            size += len(block)
    return Written(size, hasher.hexdigest())


@contextmanager
def whole_or_nothing(target: Path) -> Iterator[None]:
    """Remove `target` when the block fails, so that nobody takes a part for the whole."""
    try:
        yield
    except BaseException:
        target.unlink(missing_ok=True)
        raise


@contextmanager
def _open(target: Path) -> Iterator[BinaryIO]:
    try:
        file = target.open("wb")
    except OSError as error:
        raise _cannot_write(target, error) from error
    with file:
        yield file
        try:
            file.flush()
        except OSError as error:
            raise _cannot_write(target, error) from error


def _write(file: BinaryIO, block: bytes, target: Path) -> None:
    try:
        file.write(block)
    except OSError as error:
        raise _cannot_write(target, error) from error


def _cannot_write(target: Path, error: OSError) -> TransientError:
    return TransientError(
        f"The fetched file can not be written under '{target.parent}' ({error.strerror}): free "
        "space there, or set RAG_HOME to a folder with space.",
        code="disk_full",
    )
