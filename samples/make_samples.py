"""Write the binary sample documents from the text files under ``sources``.

Run ``python samples/make_samples.py`` after changing a source. The files come out the same byte
for byte each time, except the protected PDF, whose cipher needs fresh random numbers; it is
written only where it is absent. The other samples (HTML, Markdown, CSV, EML, TXT) are kept by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from making.blocks import Paragraph, Source, read_source
from making.broken import damaged, protected
from making.pages import make_pdf
from making.sheets import make_xlsx
from making.slides import make_pptx
from making.word import make_docx

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "sources"
DOCUMENTS = HERE / "documents"
MAKERS: dict[str, Callable[[Source], bytes]] = {
    ".pdf": make_pdf,
    ".docx": make_docx,
    ".pptx": make_pptx,
    ".xlsx": make_xlsx,
}
DAMAGED = DOCUMENTS / "archive/track-rope-certificate-1998-corrupt.pdf"
PROTECTED = DOCUMENTS / "people/salary-bands-2025-protected.pdf"


def main() -> None:
    """Write every document that is made, and say which."""
    for path in sorted(SOURCES.rglob("*.md")):
        target = DOCUMENTS / path.relative_to(SOURCES).with_suffix("")
        _write(target, MAKERS[target.suffix](read_source(path)))
    _write(DAMAGED, damaged(make_pdf(_sheet("Track rope certificate 1998"))))
    if not PROTECTED.exists():
        _write(PROTECTED, protected(make_pdf(_sheet("Salary bands 2025"))))


def _sheet(title: str) -> Source:
    """A one-page document whose text nobody will read."""
    meta = {"layout": "report", "title": title, "subtitle": "Confidential", "author": "Archive"}
    return Source(meta, (Paragraph("This page is not meant to be readable."),))


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    print(f"{len(data):>7}  {path.relative_to(DOCUMENTS)}")


if __name__ == "__main__":
    main()
