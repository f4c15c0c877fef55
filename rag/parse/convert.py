"""One file, from its bytes to a ParsedDocument. Runs in the child, after the sandbox is closed."""

from __future__ import annotations

import csv
import email.errors
import traceback
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from rag.errors import PoisonError, PolicyError, RagError
from rag.model import BlockKind, ParsedDocument
from rag.parse import archives
from rag.parse.child_config import ChildConfig
from rag.parse.cleaning import CleaningConfig, HiddenCharacters, clean, hidden_characters
from rag.parse.declarative import convert_declarative
from rag.parse.filetypes import MEDIA_TYPES, FileType
from rag.parse.language import language_of
from rag.parse.limits import ParseLimits
from rag.parse.ocr import OcrConfig
from rag.parse.pieces import Content, Piece, join
from rag.parse.preflight import Preflight, image_too_large, inspect

# what readers raise when the file is at fault; anything else is reported with its place
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    KeyError,
    SyntaxError,
    ValueError,
    RuntimeError,
    csv.Error,
    email.errors.MessageError,
)
_LEGACY = frozenset({FileType.DOC, FileType.XLS, FileType.PPT, FileType.RTF})


def parse_file(
    path: Path,
    name: str,
    passwords: tuple[str, ...],
    config: ChildConfig,
    report: Callable[..., None],
) -> ParsedDocument:
    """The document in `path`. Raises RagError only, as long as memory and time last."""
    found = inspect(path, name, passwords, config.limits)
    if found.pages:
        report(pages=found.pages)
    try:
        content = _convert(found.plain or path, found, config, report)
    except (RagError, MemoryError, RecursionError):
        raise
    except _DAMAGE as exc:
        raise archives.corrupt(f"reading it as {found.file_type} failed ({_brief(exc)})") from exc
    except Exception as exc:
        if type(exc).__name__ == "DecompressionBombError":  # Pillow's, not imported for every file
            raise image_too_large(config.limits) from exc
        raise reader_failed(found.file_type, exc) from exc
    finally:
        if found.plain is not None:
            found.plain.unlink()
    return finish(content, found, config)


def reader_failed(kind: str, exc: Exception) -> RagError:
    """The error for what a library raised beyond the words it has for damaged files. The document
    is at fault as far as anybody can tell; the child lives on."""
    how = f"{type(exc).__name__} in {_place(exc)}"
    return PoisonError(
        f"The reader of {kind} files failed on the document ({how}): save it anew with its "
        "program, or report it with the file.",
        code="parser_failed",
        how=how,
    )


def _place(exc: Exception) -> str:
    """Module and line of the last frame: never a value of the document's."""
    frames = traceback.extract_tb(exc.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "nowhere"


def _convert(
    path: Path,
    found: Preflight,
    config: ChildConfig,
    report: Callable[..., None],
) -> Content:
    kind = found.file_type
    if kind is FileType.PDF:
        from rag.parse.pdf import PdfChoices, convert_pdf

        choices = PdfChoices(config.artifacts, config.ocr, config.cleaning.strip_hidden_text)
        return convert_pdf(path, found.password, choices, report)
    if kind is FileType.IMAGE:
        from rag.parse.ocr import ocr_of
        from rag.parse.scans import convert_image

        return convert_image(path, ocr_of(config.ocr), config.ocr.dpi, report)
    if kind in _LEGACY:
        from rag.parse.legacy import convert_legacy

        return convert_legacy(path, kind, config)
    return _convert_bytes(path.read_bytes(), kind)


def _convert_bytes(data: bytes, kind: FileType) -> Content:
    from rag.parse.mail import convert_eml, convert_msg
    from rag.parse.plaintext import convert_text
    from rag.parse.web import convert_html

    if kind is FileType.TEXT:
        return convert_text(data)
    if kind is FileType.HTML:
        return convert_html(data)
    if kind is FileType.EML:
        return convert_eml(data, convert_html)
    if kind is FileType.MSG:
        return convert_msg(data, convert_html)
    if kind is FileType.CSV:
        from rag.parse.delimited import convert_csv

        return convert_csv(data)
    return convert_declarative(data, kind)


def finish(content: Content, found: Preflight, config: ChildConfig) -> ParsedDocument:
    """The content cleaned, measured and placed. Raises PoisonError (`no_text`) and PolicyError
    (`text_too_large`)."""
    cleaning = config.cleaning
    _check_size(content, config.limits)
    hidden = sum(
        (hidden_characters(p.text) for p in content.pieces), HiddenCharacters(unseen=content.hidden)
    )

    def tidy(piece: Piece) -> str:
        return clean(piece.text, cleaning, is_code=piece.kind is BlockKind.CODE)

    text, blocks = join(content.pieces, tidy)
    if not text:
        raise _no_text(found.file_type, config.ocr)
    warnings = content.warnings + _empty_page_warning(content.empty_pages, config.ocr)
    if content.hidden:
        warnings += (f"hidden_text: {content.hidden} characters that no reader sees",)
    heading = next((text[b.start : b.end] for b in blocks if b.kind is BlockKind.HEADING), None)
    title = clean(" ".join((content.title or "").split()), cleaning).strip() or heading
    return ParsedDocument(
        text=text,
        blocks=blocks,
        media_type=content.media_type or MEDIA_TYPES[found.file_type],
        page_count=content.page_count or found.pages,
        title=title[:500] if title else None,
        author=_line(content.author, cleaning),
        language=language_of(text) or content.language,
        created_at=content.created_at,
        is_partial=bool(content.empty_pages),
        warnings=warnings,
        suspicion=hidden.suspicion,
        parser=content.parser,
        metadata={clean(k, cleaning): clean(v, cleaning) for k, v in content.metadata.items()},
    )


def _line(text: str | None, cleaning: CleaningConfig) -> str | None:
    return clean(" ".join(text.split()), cleaning).strip()[:500] or None if text else None


def _check_size(content: Content, limits: ParseLimits) -> None:
    size = sum(len(piece.text) for piece in content.pieces)
    if size > limits.text_chars:
        raise PolicyError(
            f"The document holds {size} characters of text, more than the {limits.text_chars} "
            "allowed: split it or raise the limit.",
            code="text_too_large",
            limit=limits.text_chars,
            seen=size,
        )


def _empty_page_warning(pages: tuple[int, ...], ocr: OcrConfig) -> tuple[str, ...]:
    if not pages:
        return ()
    shown = ", ".join(map(str, pages[:20])) + (", ..." if len(pages) > 20 else "")
    why = "OCR found none" if ocr.is_on else "they need OCR, which is off"
    return (f"pages_without_text: {len(pages)} pages gave no text ({why}): {shown}",)


def _no_text(kind: FileType, ocr: OcrConfig) -> RagError:
    if kind in (FileType.PDF, FileType.IMAGE):
        what = "The image" if kind is FileType.IMAGE else "The PDF"
        if ocr.is_on:
            return PoisonError(
                f"{what} holds no text, and OCR found none: nothing to index.", code="no_text"
            )
        return PoisonError(
            f"{what} holds no text, only pixels, and there is no OCR: install Tesseract beside the "
            "worker (Debian: apt install tesseract-ocr) and retry, or upload it with a text layer "
            "(ocrmypdf makes one).",
            code="no_text",
            reason="needs_ocr",
        )
    return PoisonError("The document holds no text: nothing to index.", code="no_text")


def _brief(exc: Exception) -> str:
    return f"{type(exc).__name__}: {' '.join(str(exc).split())[:160]}"
