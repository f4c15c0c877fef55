"""What a parser child is told on its command line. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from rag.parse.cleaning import CleaningConfig
from rag.parse.limits import ParseLimits
from rag.parse.ocr import OcrConfig


@dataclass(frozen=True, slots=True)
class ChildConfig:
    """What a child needs to know once, from its command line."""

    limits: ParseLimits
    cleaning: CleaningConfig
    temporary: Path
    artifacts: str | None = None
    ocr: OcrConfig = OcrConfig()  # noqa: RUF009  (frozen)
    office: bool = False  # may start LibreOffice, which needs more of the file system
    ahead: bool = False  # imports the readers before there is a file for them

    def as_argument(self) -> str:
        """The one command line argument that `from_argument` reads."""
        return json.dumps(
            {
                "limits": self.limits.as_json(),
                "cleaning": self.cleaning.as_json(),
                "temporary": str(self.temporary),
                "artifacts": self.artifacts,
                "ocr": self.ocr.as_json(),
                "office": self.office,
                "ahead": self.ahead,
            }
        )

    @classmethod
    def from_argument(cls, argument: str) -> ChildConfig:
        """What `as_argument` wrote."""
        value = json.loads(argument)
        return cls(
            ParseLimits.from_json(value["limits"]),
            CleaningConfig(**value["cleaning"]),
            Path(value["temporary"]),
            value["artifacts"],
            OcrConfig.from_json(value["ocr"]),
            value["office"],
            value["ahead"],
        )
