"""A PDF through docling's standard pipeline: its layout and table models, from a folder on disk."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from rag.errors import ConfigurationError
from rag.parse.archives import corrupt
from rag.parse.pieces import Content
from rag.parse.structure import pieces_of

# what `docling-tools models download` makes for the layout and for the tables
_MODELS = ("docling-project--docling-layout-heron", "docling-project--docling-models")


def convert_with_layout(path: Path, password: str | None, artifacts: str) -> Content:
    """The content as the layout models see it. Raises ConfigurationError (`layout_models_missing`)
    when they can not be loaded and PoisonError (`corrupt_file`)."""
    if missing := missing_models(Path(artifacts)):
        raise models_missing(artifacts, FileNotFoundError(f"no folder {' and '.join(missing)}"))
    from docling.datamodel.base_models import ConversionStatus
    from docling.exceptions import ConversionError

    try:
        result = _converter(artifacts, password).convert(path)
    except ConversionError as exc:
        raise corrupt("docling can not convert the PDF") from exc
    except (ImportError, OSError, RuntimeError, ValueError) as exc:
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


def missing_models(folder: Path) -> list[str]:
    """Which of docling's model folders `folder` lacks."""
    return [name for name in _MODELS if not (folder / name).is_dir()]


@lru_cache(maxsize=1)
def _converter(artifacts: str, password: str | None) -> Any:
    """A converter keeps its models: one serves every document without a password of its own."""
    from docling.datamodel.backend_options import PdfBackendOptions
    from docling.datamodel.base_models import InputFormat
    from docling.datamodel.pipeline_options import PdfPipelineOptions
    from docling.document_converter import DocumentConverter, PdfFormatOption

    options = PdfPipelineOptions(
        artifacts_path=Path(artifacts), do_ocr=False, do_table_structure=True
    )
    options.enable_remote_services = False
    backend = PdfBackendOptions.model_validate({"password": password} if password else {})
    choice = PdfFormatOption(pipeline_options=options, backend_options=backend)
    return DocumentConverter(
        allowed_formats=[InputFormat.PDF], format_options={InputFormat.PDF: choice}
    )


def models_missing(artifacts: str, cause: Exception) -> ConfigurationError:
    """The error for a folder without docling's models, or with others than docling wants."""
    why = f" ({type(cause).__name__}: {' '.join(str(cause).split())[:160]})"
    return ConfigurationError(
        f"Docling's layout models can not be loaded from '{artifacts}'{why}: install "
        "rag-assets[layout], run `docling-tools models download -o FOLDER` and name that folder, "
        "or leave the setting empty for the native path.",
        code="layout_models_missing",
    )
