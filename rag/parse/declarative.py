"""Formats that docling's declarative backends read: office, web, markup, XML. Runs in the child."""

from __future__ import annotations

from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from rag.errors import ConfigurationError, RagError
from rag.parse import pictures
from rag.parse.archives import corrupt
from rag.parse.figures import keep_alternative_texts
from rag.parse.filetypes import FileType
from rag.parse.hidden_runs import count_hidden_runs
from rag.parse.pieces import Content
from rag.parse.properties import read_properties
from rag.parse.structure import pieces_of


class Backend(NamedTuple):
    """Where docling keeps the reader of a format, and what of its result we take."""

    module: str
    name: str
    input_format: str
    suffix: str
    with_notes: bool = False
    with_pages: bool = False


_BACKENDS: dict[FileType, Backend] = {
    FileType.DOCX: Backend("msword_backend", "MsWordDocumentBackend", "docx", "docx", True),
    FileType.PPTX: Backend(
        "mspowerpoint_backend", "MsPowerpointDocumentBackend", "pptx", "pptx", True, True
    ),
    FileType.XLSX: Backend("msexcel_backend", "MsExcelDocumentBackend", "xlsx", "xlsx", True, True),
    FileType.ODT: Backend("opendocument_backend", "OdtDocumentBackend", "odt", "odt"),
    FileType.ODS: Backend("opendocument_backend", "OdsDocumentBackend", "ods", "ods", False, True),
    FileType.ODP: Backend("opendocument_backend", "OdpDocumentBackend", "odp", "odp", True, True),
    FileType.EPUB: Backend("epub_backend", "EpubDocumentBackend", "epub", "epub"),
    FileType.PAGES: Backend("iwork_backend", "IWorkPagesDocumentBackend", "iwork_pages", "pages"),
    FileType.KEYNOTE: Backend(
        "iwork_backend", "IWorkKeynoteDocumentBackend", "iwork_keynote", "key", True, True
    ),
    FileType.NUMBERS: Backend(
        "iwork_backend", "IWorkNumbersDocumentBackend", "iwork_numbers", "numbers", False, True
    ),
    FileType.HTML: Backend("html_backend", "HTMLDocumentBackend", "html", "html"),
    FileType.MARKDOWN: Backend("md_backend", "MarkdownDocumentBackend", "md", "md"),
    FileType.ASCIIDOC: Backend("asciidoc_backend", "AsciiDocBackend", "asciidoc", "adoc"),
    FileType.CSV: Backend("csv_backend", "CsvDocumentBackend", "csv", "csv"),
    FileType.VTT: Backend("webvtt_backend", "WebVTTDocumentBackend", "vtt", "vtt"),
    FileType.JATS: Backend("xml.jats_backend", "JatsDocumentBackend", "xml_jats", "nxml"),
    FileType.USPTO: Backend("xml.uspto_backend", "PatentUsptoDocumentBackend", "xml_uspto", "xml"),
}


def convert_declarative(data: bytes, file_type: FileType) -> Content:
    """The pieces of a file as docling's reader of its format sees it. Raises PoisonError."""
    from docling.datamodel.base_models import InputFormat
    from docling.datamodel.document import InputDocument
    from docling.exceptions import DocumentLoadError

    _leave_out_rendering()
    keep_alternative_texts()
    hidden = count_hidden_runs()
    backend = _BACKENDS[file_type]
    reader: Any = getattr(import_module(f"docling.backend.{backend.module}"), backend.name)
    try:
        source = InputDocument(
            path_or_stream=BytesIO(data),
            format=InputFormat(backend.input_format),
            backend=reader,
            filename=_file_name(backend, data),
        )
        if not source.valid:
            raise _rejected(source)
        converter: Any = source._backend
        document = converter.convert()
    except DocumentLoadError as exc:
        raise corrupt(f"docling can not load it as {backend.suffix}") from exc
    pieces = pieces_of(document, with_notes=backend.with_notes, with_pages=backend.with_pages)
    pages = len(document.pages) if backend.with_pages else None
    content = Content(
        pieces,
        page_count=pages,
        parser=f"docling/{backend.input_format}",
        hidden=sum(hidden.values()),
    )
    is_package = data.startswith(b"PK")
    return read_properties(data).applied(content) if is_package else content


def _leave_out_rendering() -> None:
    """Docling draws shapes by starting LibreOffice, for pictures we do not keep; it must not."""
    from docling.backend.docx.drawingml import utils

    utils.get_libreoffice_cmd = lambda raise_if_unavailable=False: None  # noqa: ARG005
    _leave_out_pixels()


def _leave_out_pixels() -> None:
    """Docling decodes every picture and keeps it as base64, for output we do not make: an image
    bomb in a slide would be inflated for nothing. One that Pillow refuses becomes a picture docling
    can not read, which it leaves out, and not the end of the document."""
    from docling_core.types.doc.base import Size
    from docling_core.types.doc.common.reference import ImageRef
    from PIL import Image, UnidentifiedImageError

    def reference(image: Any, dpi: int) -> Any:
        size = Size(width=image.width, height=image.height)
        number = pictures.put(image)
        uri = Path("left-out.png" if number is None else str(number))
        return ImageRef(mimetype="image/png", dpi=dpi, size=size, uri=uri)

    class PictureTooLarge(UnidentifiedImageError):
        pass

    setattr(Image, "DecompressionBombError", PictureTooLarge)  # noqa: B010
    setattr(ImageRef, "from_pil", staticmethod(reference))  # noqa: B010


def _file_name(backend: Backend, data: bytes) -> str:
    """A name docling reads the dialect of a patent from; never the user's."""
    is_full_text = backend.input_format == "xml_uspto" and data.lstrip().startswith(b"PATN")
    return "pftaps.txt" if is_full_text else f"document.{backend.suffix}"


def _rejected(source: Any) -> RagError:
    rejection = source._rejection
    cause = getattr(rejection, "original_error", None)
    why = str(cause or getattr(rejection, "message", "unknown"))
    if "password" in why:
        return ConfigurationError(
            "The document is encrypted; passwords are supported for PDF and Microsoft's formats: "
            "save it without one.",
            code="password_required",
        )
    return corrupt("docling can not load it (" + " ".join(why.split())[:200] + ")")
