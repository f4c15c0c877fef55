"""Alternative texts of pictures, which docling leaves out: it is taught to keep them as the
pictures' descriptions. Runs in the child."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

IMAGE_MARK = "[Image] "  # how a text that stands for a picture begins


def keep_alternative_texts() -> None:
    """From now on docling's readers of office and web files describe pictures."""
    from docling.backend import html_backend, mspowerpoint_backend, msword_backend
    from docling.backend import opendocument_backend as odf

    _wrap(msword_backend.MsWordDocumentBackend, "_handle_pictures", _of_word)
    _wrap(mspowerpoint_backend.MsPowerpointDocumentBackend, "_handle_pictures", _of_slide)
    _wrap(html_backend.HTMLDocumentBackend, "_emit_image", _of_html)
    _wrap(odf, "_add_odf_images", _of_odf)


def _wrap(owner: Any, name: str, around: Callable[..., Any]) -> None:
    original = getattr(owner, name)
    if not hasattr(original, "is_described"):

        def described(*args: Any, **named: Any) -> Any:
            return around(original, *args, **named)

        described.is_described = True  # type: ignore[attr-defined]
        setattr(owner, name, described)


def _describe(pictures: list[Any], texts: list[str]) -> None:
    from docling_core.types.doc.document import DescriptionMetaField, PictureMeta

    for picture, text in zip(pictures, texts, strict=False):
        if text.strip():
            picture.meta = picture.meta or PictureMeta()
            picture.meta.description = DescriptionMetaField(text=" ".join(text.split()))


def _of_word(original: Any, backend: Any, blips: Any, document: Any) -> Any:
    before = len(document.pictures)
    made = original(backend, blips, document)
    _describe(document.pictures[before:], [_word_text(blip) for blip in blips or ()])
    return made


def _of_slide(original: Any, backend: Any, shape: Any, *rest: Any, **named: Any) -> Any:
    document = rest[2] if len(rest) > 2 else named["doc"]
    before = len(document.pictures)
    made = original(backend, shape, *rest, **named)
    _describe(document.pictures[before:], [_property(shape._element, "cNvPr")])
    return made


def _word_text(blip: Any) -> str:
    frames = (node for node in blip.iterancestors() if _name(node) in ("inline", "anchor"))
    frame = next(frames, None)
    return "" if frame is None else _property(frame, "docPr")


def _property(shape: Any, name: str) -> str:
    """The description in the properties of a drawing, which stand first in it."""
    found = (node.get("descr") or "" for node in shape.iter() if _name(node) == name)
    return next(found, "")


def _name(node: Any) -> str:
    return str(node.tag).rpartition("}")[2]


def _of_html(original: Any, backend: Any, tag: Any, document: Any) -> Any:
    """Docling takes the alternative text for a caption where there is none; it is none."""
    before = len(document.pictures)
    text = tag.attrs.pop("alt", None)
    made = original(backend, tag, document)
    _describe(document.pictures[before:], [str(text or "")])
    return made


def _of_odf(original: Any, document: Any, images: Any, *rest: Any, **named: Any) -> int:
    """One image at a time, for docling leaves some out."""
    count = 0
    for image in images:
        before = len(document.pictures)
        count += original(document, [image], *rest, **named)
        _describe(document.pictures[before:], [_odf_text(image)])
    return count


def _odf_text(image: Any) -> str:
    frame = image.parent
    parts = [frame.get_element(name) for name in ("svg:title", "svg:desc")] if frame else []
    return ". ".join(part.text_recursive.strip() for part in parts if part is not None)
