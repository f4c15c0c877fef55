"""Text from pixels: the port, and its adapter over the `tesseract` program.

Runs in the parser child, so the program inherits its limits: no network, no foreign files, the
memory and time budget of the document. Without an adapter, pages without text stay recorded as
such. Docling is not involved: the words found take the same way as those of a text layer.
"""

from __future__ import annotations

import csv
import functools
import io
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rag.errors import ConfigurationError
from rag.parse.pdf_page import Box, Word

_POINTS_PER_INCH = 72.0
_PLACES = os.pathsep.join([os.defpath, "/usr/local/bin", "/opt/homebrew/bin"])
_MIN_CONFIDENCE = 30.0
_FEW_LETTERS = 4  # fewer on a whole page are the grain of a picture
_ROTATE = re.compile(r"Rotate: (\d+)")
_SURE = re.compile(r"Orientation confidence: ([\d.]+)")


class Ocr(Protocol):
    """Reads the words of one upright or turned image."""

    @property
    def name(self) -> str:
        """What the parser's name in a document ends with."""
        ...

    def words(self, image: Any, dpi: float) -> tuple[tuple[Word, ...], int]:
        """The words of a PIL image with boxes in points, and the degrees (0, 90, 180, 270) by
        which the image was turned clockwise before they were read. No words on a blank image."""
        ...


@dataclass(frozen=True, slots=True)
class OcrConfig:
    """Whether and how pixels are read. `engine`: `auto` (Tesseract when it is installed), `off`,
    or `tesseract` (an error when it is not installed). `languages` are Tesseract's names."""

    engine: str = "auto"
    languages: tuple[str, ...] = ("eng",)
    dpi: int = 300
    page_s: float = 60.0

    def as_json(self) -> dict[str, object]:
        """The configuration as JSON values."""
        return {
            "engine": self.engine,
            "languages": list(self.languages),
            "dpi": self.dpi,
            "page_s": self.page_s,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> OcrConfig:
        """What `as_json` wrote."""
        return cls(value["engine"], tuple(value["languages"]), value["dpi"], value["page_s"])

    @property
    def is_on(self) -> bool:
        """True when pages without text will be read."""
        if self.engine == "auto":
            return find_tesseract() is not None
        return self.engine != "off"

    def fingerprint(self) -> object:
        """What names the results of OCR in the parser's configuration."""
        if not self.is_on:
            return "off"
        version = tesseract_version() or "missing"
        return {"tesseract": version, "languages": list(self.languages), "dpi": self.dpi}


def ocr_of(config: OcrConfig) -> Ocr | None:
    """The adapter the configuration asks for, None when OCR is off. Raises ConfigurationError
    (`ocr_missing`, `bad_setting`)."""
    if config.engine not in ("auto", "off", "tesseract"):
        raise ConfigurationError(
            f"'{config.engine}' is no OCR engine: use auto, off or tesseract.", code="bad_setting"
        )
    if not config.is_on:
        return None
    program = find_tesseract()
    if program is None:
        raise ConfigurationError(
            "OCR is set to tesseract, which is not installed: install it (Debian: apt install "
            "tesseract-ocr) or set OCR to auto or off.",
            code="ocr_missing",
        )
    return Tesseract(program, config)


def find_tesseract() -> str | None:
    """The path of the program, None when it is not installed. Looked for in fixed places, so that
    the worker and its child, whose PATH is not the worker's, give one answer."""
    return shutil.which("tesseract", path=_PLACES)


@functools.cache
def tesseract_version() -> str | None:
    """The installed version, such as `5.3.0`."""
    program = find_tesseract()
    if program is None:
        return None
    done = subprocess.run(
        [program, "--version"], capture_output=True, text=True, timeout=20, check=False
    )
    found = re.search(r"tesseract v?(\d[\w.]*)", done.stdout + done.stderr)
    return found[1] if found else None


@dataclass(frozen=True, slots=True)
class Tesseract:
    """The `tesseract` program: once for the orientation, once for the words."""

    program: str
    config: OcrConfig
    name: str = "tesseract"

    def words(self, image: Any, dpi: float) -> tuple[tuple[Word, ...], int]:
        """See `Ocr`. Raises ConfigurationError (`ocr_missing`) when a language is not installed."""
        turned = self._orientation(image, dpi)
        upright = image.rotate(-turned, expand=True) if turned else image
        options = ["-l", "+".join(self.config.languages), "--psm", "3"]
        text = self._run(upright, dpi, [*options, "-c", "tessedit_create_tsv=1"])
        words = tuple(_words(text, _POINTS_PER_INCH / dpi))
        letters = sum(char.isalnum() for word in words for char in word.text)
        return (words if letters >= _FEW_LETTERS else ()), turned

    def _orientation(self, image: Any, dpi: float) -> int:
        """Degrees to turn the image clockwise; 0 when it is not sure."""
        text = self._run(image, dpi, ["-l", "osd", "--psm", "0"], may_fail=True)
        turn, sure = _ROTATE.search(text), _SURE.search(text)
        return int(turn[1]) if turn and sure and float(sure[1]) >= 1.0 else 0

    def _run(
        self, image: Any, dpi: float, options: Sequence[str], *, may_fail: bool = False
    ) -> str:
        data = io.BytesIO()
        image.save(data, "PPM")
        command = [self.program, "stdin", "stdout", "--dpi", str(round(dpi)), *options]
        environment = {**os.environ, "OMP_THREAD_LIMIT": "1"}
        try:
            done = subprocess.run(
                command,
                input=data.getvalue(),
                capture_output=True,
                timeout=self.config.page_s,
                check=False,
                env=environment,
            )
        except subprocess.TimeoutExpired:
            return ""  # the page stays without text, and is recorded so
        if done.returncode != 0 and not may_fail:
            self._check_languages(done.stderr.decode("utf-8", "replace"))
        return done.stdout.decode("utf-8", "replace")

    def _check_languages(self, said: str) -> None:
        if "language" in said:
            raise ConfigurationError(
                f"Tesseract lacks a language of {'+'.join(self.config.languages)}: install it "
                "(Debian: apt install tesseract-ocr-LANGUAGE) or correct the OCR languages.",
                code="ocr_missing",
            )


def _words(tsv: str, scale: float) -> Iterator[Word]:
    """The words of Tesseract's table; each as high as its line, so that sizes compare."""
    line = Box(0, 0, 0, 0)
    for row in csv.DictReader(io.StringIO(tsv), delimiter="\t", quoting=csv.QUOTE_NONE):
        box = _box(row, scale)
        if row["level"] == "4":
            line = box
        text = (row["text"] or "").strip()
        if row["level"] != "5" or not text or float(row["conf"]) < _MIN_CONFIDENCE:
            continue
        yield Word(text, Box(box.x0, line.y0, box.x1, line.y1), line.height, "ocr")


def _box(row: dict[str, str], scale: float) -> Box:
    left, top = int(row["left"]) * scale, int(row["top"]) * scale
    return Box(left, top, left + int(row["width"]) * scale, top + int(row["height"]) * scale)
