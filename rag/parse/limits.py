"""How much one document may cost before it is refused or its parser is killed. Pure values."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from rag.ports import FileLimits

MIB = 1024 * 1024
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True)
class ParseLimits:
    """Every budget of one document's parse; nothing here is unlimited.

    `wall_s + wall_per_page_s * pages` (more where OCR reads, at most `wall_cap_s`) bounds the time,
    `memory_bytes` the resident memory of the child with all its descendants, `file_bytes`, `pages`,
    the zip, PDF, XML and image limits what is taken in, `text_chars` and `output_bytes` what may
    come out. `allow_macros` lets office files with macros in (they are never run). A child is
    replaced after
    `recycle_after` documents, or when it holds more than `recycle_rss_bytes` between two."""

    wall_s: float = 120.0
    wall_per_page_s: float = 2.0
    wall_per_ocr_page_s: float = 30.0
    wall_cap_s: float = 1800.0
    memory_bytes: int = 2 * GIB
    file_bytes: int = 100 * MIB
    pages: int = 2000
    zip_entries: int = 10_000
    zip_inflated_bytes: int = 512 * MIB
    zip_xml_bytes: int = 64 * MIB
    zip_ratio: float = 100.0
    zip_ratio_floor_bytes: int = 100 * 1024
    zip_nesting: int = 3
    zip_name_chars: int = 255
    xml_depth: int = 256
    image_pixels: int = 89_000_000
    pdf_stream_bytes: int = 75 * MIB
    pdf_inflated_bytes: int = 512 * MIB
    pdf_states: int = 10_000
    text_chars: int = 20_000_000
    output_bytes: int = 128 * MIB
    temporary_bytes: int = 512 * MIB
    attachments: int = 200
    open_files: int = 256
    recycle_after: int = 2000
    recycle_rss_bytes: int = 1 * GIB
    allow_macros: bool = False

    def wall(self, pages: int | None, ocr_pages: int = 0) -> float:
        """Seconds one document of `pages` pages may take, of which OCR reads `ocr_pages`."""
        reading = self.wall_per_page_s * (pages or 0) + self.wall_per_ocr_page_s * ocr_pages
        return min(self.wall_cap_s, self.wall_s + reading)

    def for_file(self, limits: FileLimits | None) -> ParseLimits:
        """These limits, less what one file's own say other."""
        if limits is None:
            return self
        return replace(
            self,
            file_bytes=limits.file_bytes,
            pages=limits.pages,
            wall_s=limits.wall_s,
            memory_bytes=limits.memory_bytes,
        )

    def as_json(self) -> dict[str, int | float]:
        """The limits as JSON values; `from_json` reads them back."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, int | float]) -> ParseLimits:
        """The limits that `as_json` wrote. Unknown names are refused with a TypeError."""
        return cls(**values)  # type: ignore[arg-type]
