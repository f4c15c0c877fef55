"""Files inside a file: what is attached to a mail or a PDF, as documents of their own.

`extract` runs in the child and writes numbered files; `take` runs in the worker and believes
nothing of them but their bytes. Names are labels for people, never paths.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from rag.errors import PolicyError
from rag.parse.filetypes import FileType
from rag.parse.limits import MIB, ParseLimits
from rag.parse.preflight import Preflight, inspect
from rag.ports import Attachment

_NAME_CHARS = 255
_MAX_BYTES = 16 * MIB


class Part(NamedTuple):
    """One attached file in memory."""

    name: str
    media_type: str
    data: bytes


class Head(NamedTuple):
    """What a child says of a file it wrote; the file's name is its number."""

    name: str
    media_type: str
    size_bytes: int


def extract(
    path: Path, name: str, passwords: tuple[str, ...], limits: ParseLimits, folder: Path
) -> list[Head]:
    """Write what is attached to the mail or PDF in `path` to `folder/0`, `folder/1`, ... Empty for
    other types. Raises as preflight does, and PolicyError (`too_many_attachments`)."""
    found = inspect(path, name, passwords, limits)
    heads: list[Head] = []
    total = 0
    for part in _parts(path, found):
        total += len(part.data)
        if len(heads) >= limits.attachments or total > limits.temporary_bytes // 2:
            raise PolicyError(
                f"More than {limits.attachments} files or {limits.temporary_bytes >> 21} MiB are "
                "attached: raise the limit, or store them apart.",
                code="too_many_attachments",
                limit=limits.attachments,
            )
        (folder / str(len(heads))).write_bytes(part.data)
        label = _label(part.name) or f"attachment-{len(heads) + 1}"
        heads.append(Head(label, part.media_type, len(part.data)))
    return heads


def take(folder: Path, heads: Sequence[Head], target: Path) -> tuple[Attachment, ...]:
    """Copy what a child wrote to `target`. A file that is not a plain one of its own, or not as
    long as said, is left out: no link leads the worker to a file the child may not read."""
    taken = []
    for ordinal, head in enumerate(heads):
        path = target / str(ordinal)
        if _copy(folder / str(ordinal), path, head.size_bytes):
            taken.append(Attachment(ordinal, _label(head.name), head.media_type[:100], path))
    return tuple(taken)


def take_bytes(folder: Path, sizes: Sequence[int]) -> list[bytes]:
    """What a child wrote to `folder/0`, `folder/1`, ...; empty where it is not as `take` wants."""
    taken = []
    with tempfile.TemporaryDirectory(prefix="rag-pictures-") as target:
        for number, size in enumerate(sizes):
            path = Path(target) / str(number)
            is_sound = size <= _MAX_BYTES and _copy(folder / str(number), path, size)
            taken.append(path.read_bytes() if is_sound else b"")
    return taken


def _copy(source: Path, target: Path, size: int) -> bool:
    try:
        handle = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    with os.fdopen(handle, "rb") as stream:
        seen = os.fstat(handle)
        if not stat.S_ISREG(seen.st_mode) or seen.st_nlink != 1 or seen.st_size != size:
            return False
        with target.open("wb") as out:
            shutil.copyfileobj(stream, out)
    return True


def _label(name: str) -> str:
    """A name without folders and control characters."""
    last = PurePosixPath(name.replace("\\", "/")).name
    return "".join(char for char in last if char.isprintable())[:_NAME_CHARS]


def _parts(path: Path, found: Preflight) -> Iterator[Part]:
    if found.file_type in (FileType.EML, FileType.MSG):
        from rag.parse.mail import mail_parts

        yield from mail_parts(path.read_bytes(), is_msg=found.file_type is FileType.MSG)
    elif found.file_type is FileType.PDF:
        yield from _pdf_parts(path, found.password)


def _pdf_parts(path: Path, password: str | None) -> Iterator[Part]:
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(path, password=password)
    except pypdfium2.PdfiumError:
        return
    try:
        for index in range(document.count_attachments()):
            try:
                file = document.get_attachment(index)
                yield Part(file.get_name(), "application/octet-stream", bytes(file.get_data()))
            except pypdfium2.PdfiumError:
                continue  # it has a name and no bytes
    finally:
        document.close()
