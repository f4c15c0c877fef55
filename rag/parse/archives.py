"""Zip directories checked before anything is inflated. Reads the directory only, writes nothing."""

from __future__ import annotations

import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from rag.errors import ConfigurationError, PoisonError, PolicyError, RagError
from rag.parse import xml_parts
from rag.parse.limits import ParseLimits

_NESTED = (".zip", ".jar", ".7z", ".gz", ".rar", ".docx", ".xlsx", ".pptx", ".epub")
_ZIPS = (".zip", ".jar", ".docx", ".xlsx", ".pptx", ".docm", ".xlsm", ".pptm", ".odt", ".epub")
_XML = (".xml", ".rels", ".vml", ".opf", ".ncx", ".xhtml", ".svg")
_TYPE = re.compile(rb"<(?:\w+:)?(?:Override|Default)\b[^>]*>")
_VALUE = re.compile(rb"(\w+)\s*=\s*[\"']([^\"']*)[\"']")
_DAMAGE = (zipfile.BadZipFile, zlib.error, OSError)
_END = b"PK\x05\x06"


def read_directory(path: Path, limits: ParseLimits) -> list[zipfile.ZipInfo]:
    """The members of the archive, all limits checked. Raises PoisonError (`corrupt_file`),
    PolicyError (`archive_bomb`, `xml_bomb`) or ConfigurationError (`password_required`)."""
    _check_declared_entries(path, limits)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (*_DAMAGE, struct.error, ValueError, NotImplementedError) as exc:
        raise corrupt(f"its zip directory can not be read ({exc})") from exc
    check_members(members, limits)
    _check_nesting(path, members, limits)
    _check_xml(path, members, limits)
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


def read_member(path: Path | BinaryIO, name: str, max_bytes: int) -> bytes | None:
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
    packed = sum(m.compress_size for m in members)
    if total > limits.zip_ratio_floor_bytes and total > limits.zip_ratio * max(1, packed):
        raise bomb(f"a compression ratio of {total // max(1, packed)}", int(limits.zip_ratio))
    nested = sum(m.filename.lower().endswith(_NESTED) for m in members)
    if nested > limits.zip_entries // 10:
        raise bomb(f"{nested} archives inside", limits.zip_entries // 10)


def _check_xml(path: Path, members: Sequence[zipfile.ZipInfo], limits: ParseLimits) -> None:
    typed = _typed_as_xml(path, members)
    parts = [m for m in members if m.filename.lower().endswith(_XML) or m.filename in typed]
    size = sum(m.file_size for m in parts)
    if size > limits.zip_xml_bytes:
        raise bomb(f"{size} bytes of XML", limits.zip_xml_bytes)
    xml_parts.check_members(path, parts, limits)


def _typed_as_xml(path: Path, members: Sequence[zipfile.ZipInfo]) -> frozenset[str]:
    """Members that the package's content types call XML, whatever their names end with."""
    listing = read_member(path, "[Content_Types].xml", 1024 * 1024) or b""
    found = set()
    for tag in _TYPE.findall(listing):
        values = dict(_VALUE.findall(tag))
        if values.get(b"ContentType", b"").endswith((b"+xml", b"/xml")):
            part = values.get(b"PartName", b"").decode("utf-8", "replace").lstrip("/")
            suffix = values.get(b"Extension", b"").decode("utf-8", "replace")
            found.add(part)
            if suffix:
                found |= {m.filename for m in members if m.filename.endswith(f".{suffix}")}
    return frozenset(found)


def _check_nesting(path: Path, members: Sequence[zipfile.ZipInfo], limits: ParseLimits) -> None:
    """Archives in archives, as deep as allowed, count against the same sizes."""
    total = sum(m.file_size for m in members)
    try:
        with zipfile.ZipFile(path) as archive:
            _look_inside(archive, 1, total, limits)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, NotImplementedError):
        return  # a damaged member is found again by the format's reader


def _look_inside(archive: zipfile.ZipFile, depth: int, total: int, limits: ParseLimits) -> int:
    """The inflated size with everything below. Members are read whole: their sizes are checked."""
    for member in archive.infolist():
        if not member.filename.lower().endswith(_ZIPS) or member.flag_bits & 1:
            continue
        if depth >= limits.zip_nesting:
            raise bomb(f"archives nested more than {limits.zip_nesting} deep", limits.zip_nesting)
        data = BytesIO(archive.read(member))
        if not zipfile.is_zipfile(data):
            continue
        with zipfile.ZipFile(data) as inner:
            total += sum(m.file_size for m in inner.infolist())
            if total > limits.zip_inflated_bytes:
                raise bomb(f"{total} bytes in nested archives", limits.zip_inflated_bytes)
            total = _look_inside(inner, depth + 1, total, limits)
    return total


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
