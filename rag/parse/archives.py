"""Zip directories checked before anything is inflated. Reads the directory only, writes nothing."""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from rag.errors import ConfigurationError, PoisonError, PolicyError, RagError
from rag.parse.limits import ParseLimits

_NESTED = (".zip", ".jar", ".7z", ".gz", ".rar", ".docx", ".xlsx", ".pptx", ".epub")
_END = b"PK\x05\x06"


def read_directory(path: Path, limits: ParseLimits) -> list[zipfile.ZipInfo]:
    """The members of the archive, all limits checked. Raises PoisonError (`corrupt_file`),
    PolicyError (`archive_bomb`) or ConfigurationError (`password_required`)."""
    _check_declared_entries(path, limits)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, zlib.error, struct.error, OSError, ValueError) as exc:
        raise corrupt(f"its zip directory can not be read ({exc})") from exc
    check_members(members, limits)
    return members


def check_members(members: Sequence[zipfile.ZipInfo], limits: ParseLimits) -> None:
    """Raises as `read_directory` does when the directory breaks a limit."""
    if len(members) > limits.zip_entries:
        raise bomb(f"{len(members)} entries", limits.zip_entries)
    _check_sizes(members, limits)
    _check_overlaps(members)
    for member in members:
        _check_name(member, limits)
    if any(m.flag_bits & 1 for m in members):
        raise ConfigurationError(
            "The archive is encrypted and can not be opened with a password here: save the "
            "document without one.",
            code="password_required",
        )


def read_member(path: Path, name: str, max_bytes: int) -> bytes | None:
    """At most `max_bytes` of one member, None when it is not there or can not be read."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open(name) as member:
            return member.read(max_bytes)
    except (KeyError, zipfile.BadZipFile, zlib.error, OSError, RuntimeError, NotImplementedError):
        return None


def _check_declared_entries(path: Path, limits: ParseLimits) -> None:
    """Refuse a million entries by the end record, before a million objects are built."""
    with path.open("rb") as stream:
        stream.seek(0, 2)
        stream.seek(max(0, stream.tell() - 66_000))
        tail = stream.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) < at + 20:
        raise corrupt("its zip directory is cut off")
    directory_bytes = int(struct.unpack_from("<I", tail, at + 12)[0])
    if directory_bytes > limits.zip_entries * (46 + limits.zip_name_chars + 128):
        raise bomb(f"a directory of {directory_bytes} bytes", limits.zip_entries)


def _check_sizes(members: Sequence[zipfile.ZipInfo], limits: ParseLimits) -> None:
    total = sum(m.file_size for m in members)
    if total > limits.zip_inflated_bytes:
        raise bomb(f"{total} bytes when inflated", limits.zip_inflated_bytes)
    xml = sum(m.file_size for m in members if m.filename.endswith((".xml", ".rels")))
    if xml > limits.zip_xml_bytes:
        raise bomb(f"{xml} bytes of XML", limits.zip_xml_bytes)
    packed = sum(m.compress_size for m in members)
    if total > limits.zip_ratio_floor_bytes and total > limits.zip_ratio * max(1, packed):
        raise bomb(f"a compression ratio of {total // max(1, packed)}", int(limits.zip_ratio))
    if sum(m.filename.lower().endswith(_NESTED) for m in members) > limits.zip_entries // 10:
        raise bomb("too many archives inside", limits.zip_entries // 10)


def _check_overlaps(members: Sequence[zipfile.ZipInfo]) -> None:
    end = 0
    for member in sorted(members, key=lambda m: m.header_offset):
        if member.header_offset < end:
            raise bomb("entries that overlap", 0)
        end = member.header_offset + member.compress_size


def _check_name(member: zipfile.ZipInfo, limits: ParseLimits) -> None:
    name = member.filename
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if len(name) > limits.zip_name_chars:
        raise bomb(f"a name of {len(name)} characters", limits.zip_name_chars)
    if ".." in parts or name.startswith(("/", "\\")) or name[1:2] == ":":
        raise bomb("a name that leads out of the archive", 0)
    if stat.S_ISLNK(member.external_attr >> 16):
        raise bomb("a symbolic link", 0)


def bomb(seen: str, limit: int) -> RagError:
    """The error for an archive that breaks a limit."""
    return PolicyError(
        f"The archive has {seen}: it is refused as an archive bomb; raise the limit only if you "
        "trust its origin.",
        code="archive_bomb",
        limit=limit,
    )


def corrupt(why: str) -> RagError:
    """The error for a file that is damaged."""
    return PoisonError(
        f"The file is damaged: {why}; put an intact version in its place.", code="corrupt_file"
    )
