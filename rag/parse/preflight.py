"""The first look at a file, in the child: what it is, and whether it may be parsed at all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rag.errors import ConfigurationError, PoisonError, PolicyError
from rag.parse import archives, xml_parts
from rag.parse import pdf_streams as streams
from rag.parse.filetypes import HEAD_BYTES, FileType, OleNames, by_members, sniff, unsupported
from rag.parse.limits import ParseLimits
from rag.parse.office_lock import password_required, password_wrong, unlocked

_REFUSED = {
    FileType.ZIP: "a zip archive of files",
    FileType.XML: "XML of an unknown vocabulary",
}
_XML = frozenset({FileType.JATS, FileType.USPTO})
_MACROS = frozenset({"Macros", "_VBA_PROJECT_CUR", "_VBA_PROJECT"})


@dataclass(frozen=True, slots=True)
class Preflight:
    """What was found: the type, the pages where they can be counted, the password that opens, and
    the file in the clear where ours was encrypted."""

    file_type: FileType
    pages: int | None = None
    password: str | None = None
    plain: Path | None = None


def inspect(path: Path, name: str, passwords: tuple[str, ...], limits: ParseLimits) -> Preflight:
    """The verdict on one file. Raises PoisonError (`empty_file`, `corrupt_file`), PolicyError
    (`unsupported_type`, `file_too_large`, `too_many_pages`, `archive_bomb`, `xml_bomb`, `pdf_bomb`,
    `image_too_large`, `macros_forbidden`) or ConfigurationError (`password_required`,
    `password_wrong`); never anything else for any bytes."""
    size = path.stat().st_size
    if size == 0:
        raise PoisonError("The file is empty: upload it again or delete it.", code="empty_file")
    if size > limits.file_bytes:
        raise PolicyError(
            f"The file has {size} bytes, more than the {limits.file_bytes} allowed: split it or "
            "raise max_file_bytes (for one collection: in collection_limits).",
            code="file_too_large",
            limit=limits.file_bytes,
            seen=size,
        )
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    if not head.strip(b"\0 \t\r\n\x0c") and size <= HEAD_BYTES:
        raise PoisonError("The file holds only blanks: upload it again.", code="empty_file")
    return _inspect(path, sniff(head, name), passwords, limits)


def _inspect(
    path: Path, file_type: FileType | None, passwords: tuple[str, ...], limits: ParseLimits
) -> Preflight:
    if file_type is FileType.ZIP:
        file_type = _zip_type(path, limits)
    elif file_type is FileType.DOC:
        file_type = _ole_type(path, limits)
    if file_type is None:
        raise unsupported("a binary file of an unknown format")
    if file_type in _REFUSED:
        raise unsupported(_REFUSED[file_type])
    if file_type is FileType.OOXML_ENCRYPTED:
        return _inspect_locked(path, passwords, limits)
    if file_type is FileType.PDF:
        return _inspect_pdf(path, passwords, limits)
    _check_content(path, file_type, limits)
    return Preflight(file_type)


def _inspect_locked(path: Path, passwords: tuple[str, ...], limits: ParseLimits) -> Preflight:
    plain = unlocked(path, passwords)
    found = _zip_type(plain, limits)
    if found is None or found in _REFUSED:
        raise unsupported("an encrypted file of an unknown format")
    return Preflight(found, plain=plain)


def _check_content(path: Path, file_type: FileType, limits: ParseLimits) -> None:
    if file_type is FileType.IMAGE:
        _check_image(path, limits)
    if file_type in _XML:
        with path.open("rb") as stream:
            xml_parts.check_xml(stream, limits)


def _zip_type(path: Path, limits: ParseLimits) -> FileType:
    members = archives.read_directory(path, limits)
    names = frozenset(m.filename for m in members)
    mimetype = archives.read_member(path, "mimetype", 200) if "mimetype" in names else None
    if ".iwpv2" in names or any(n.endswith(".iwph") for n in names):
        raise ConfigurationError(
            "The iWork document is encrypted: save it without a password.",
            code="password_required",
        )
    if not limits.allow_macros and any(n.lower().endswith("vbaproject.bin") for n in names):
        raise _macros()
    return by_members(names, mimetype)


def _ole_type(path: Path, limits: ParseLimits) -> FileType | None:
    import olefile  # type: ignore[import-untyped]

    try:
        with olefile.OleFileIO(str(path)) as ole:
            names = frozenset(entry[0] for entry in ole.listdir(streams=True, storages=True))
    except (OSError, ValueError, IndexError, KeyError, AttributeError, TypeError) as exc:
        raise archives.corrupt("its OLE2 directory can not be read") from exc
    if not limits.allow_macros and names & _MACROS:
        raise _macros()
    return OleNames(names).file_type()


def _macros() -> PolicyError:
    return PolicyError(
        "The office file carries macros: save it without them (.docx, .xlsx, .pptx), or allow "
        "macros for this parser; they are never run.",
        code="macros_forbidden",
    )


def _inspect_pdf(path: Path, passwords: tuple[str, ...], limits: ParseLimits) -> Preflight:
    streams.check_streams(path, limits)
    pages, password = _open_pdf(path, passwords)
    if pages > limits.pages:
        raise PolicyError(
            f"The PDF has {pages} pages, more than the {limits.pages} allowed: split it or raise "
            "max_pages (for one collection: in collection_limits).",
            code="too_many_pages",
            limit=limits.pages,
            seen=pages,
        )
    return Preflight(FileType.PDF, pages, password)


def _open_pdf(path: Path, passwords: tuple[str, ...]) -> tuple[int, str | None]:
    import pypdfium2

    from rag.parse.pdf_source import PASSWORD_ERROR, count_pages, count_repaired_pages

    for password in (None, *passwords):
        try:
            return count_pages(path, password), password
        except pypdfium2.PdfiumError as exc:
            if exc.err_code != PASSWORD_ERROR:
                return count_repaired_pages(path), None
    raise password_wrong("PDF") if passwords else password_required("PDF")


def _check_image(path: Path, limits: ParseLimits) -> None:
    from PIL import Image

    try:
        with Image.open(path) as image:
            pixels = image.width * image.height
    except Image.DecompressionBombError as exc:
        raise image_too_large(limits) from exc
    except (OSError, ValueError, TypeError, LookupError, SyntaxError, EOFError) as exc:
        raise archives.corrupt("the image can not be opened") from exc
    if pixels > limits.image_pixels:
        raise image_too_large(limits)


def image_too_large(limits: ParseLimits) -> PolicyError:
    """The error for an image with too many pixels, alone or inside a document."""
    return PolicyError(
        f"An image has more than the {limits.image_pixels} pixels allowed: make it smaller.",
        code="image_too_large",
        limit=limits.image_pixels,
    )
