"""A PDF through docling's standard pipeline: its layout and table models, from a folder on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rag.errors import ConfigurationError
from rag.parse.archives import corrupt
from rag.parse.pieces import Content
from rag.parse.structure import pieces_of


def convert_with_layout(path: Path, password: str | None, artifacts: str) -> Content:
    """The content as the layout models see it. Raises ConfigurationError (`layout_models_missing`)
    when they can not be loaded and PoisonError (`corrupt_file`)."""
    from docling.datamodel.base_models import ConversionStatus
    from docling.exceptions import ConversionError

    converter = _converter(artifacts, password)
    try:
        result = converter.convert(path)
    except ConversionError as exc:
        raise corrupt("docling can not convert the PDF") from exc
    except (ImportError, FileNotFoundError, OSError, RuntimeError) as exc:
        raise models_missing(artifacts, exc) from exc
    if result.status not in (ConversionStatus.SUCCESS, ConversionStatus.PARTIAL_SUCCESS):
        raise corrupt("docling can not convert the PDF")
    document = result.document
    with_text = {prov.page_no for item in document.texts for prov in item.prov}
    with_text |= {prov.page_no for item in document.tables for prov in item.prov}
    pages = len(document.pages)
    return Content(
        pieces_of(document, with_notes=False, with_pages=True),
        page_count=pages,
        empty_pages=tuple(n for n in range(1, pages + 1) if n not in with_text),
        parser="docling/layout",
    )


def _converter(artifacts: str, password: str | None) -> Any:
    from docling.datamodel.backend_options import PdfBackendOptions
    from docling.datamodel.base_models import InputFormat
    from docling.datamodel.pipeline_options import PdfPipelineOptions
    from docling.document_converter import DocumentConverter, PdfFormatOption

    folder = Path(artifacts)
    if not folder.is_dir() or not any(folder.iterdir()):
        raise models_missing(artifacts, None)
    options = PdfPipelineOptions(artifacts_path=folder, do_ocr=False, do_table_structure=True)
    options.enable_remote_services = False
    backend = PdfBackendOptions.model_validate({"password": password} if password else {})
    choice = PdfFormatOption(pipeline_options=options, backend_options=backend)
    return DocumentConverter(
        allowed_formats=[InputFormat.PDF], format_options={InputFormat.PDF: choice}
    )


def models_missing(artifacts: str, cause: Exception | None) -> ConfigurationError:
    """The error for a folder without docling's models."""
    why = f" ({type(cause).__name__}: {' '.join(str(cause).split())[:160]})" if cause else ""
    return ConfigurationError(
        f"Docling's layout models can not be loaded from '{artifacts}'{why}: install "
        "rag-assets[layout], run `docling-tools models download -o FOLDER` and name that folder, "
        "or leave the setting empty for the native path.",
        code="layout_models_missing",
    )
