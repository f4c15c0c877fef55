"""Legacy office formats through LibreOffice, when it is there. Runs in the child's sandbox."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from rag.errors import ConfigurationError, PoisonError
from rag.parse.child_config import ChildConfig
from rag.parse.filetypes import FileType
from rag.parse.pieces import Content

NEEDS_OFFICE = "needs_office_child"  # never leaves the pool: it asks for another child

_TARGETS = {
    FileType.DOC: FileType.DOCX,
    FileType.RTF: FileType.DOCX,
    FileType.XLS: FileType.XLSX,
    FileType.PPT: FileType.PPTX,
}


def convert_legacy(path: Path, kind: FileType, config: ChildConfig) -> Content:
    """The document as its modern form says. Raises ConfigurationError (`converter_missing`) and
    PoisonError (`corrupt_file`, `parse_timeout`)."""
    from rag.parse.declarative import convert_declarative

    program = shutil.which("soffice") or shutil.which("libreoffice")
    if program is None:
        raise ConfigurationError(
            f"Legacy {kind} files need LibreOffice: install it beside the worker, or save the "
            "document in a current format.",
            code="converter_missing",
        )
    if not config.office:
        raise ConfigurationError("An office child must read this.", code=NEEDS_OFFICE)
    target = _TARGETS[kind]
    with tempfile.TemporaryDirectory() as folder:
        data = _run(program, path, target, Path(folder), config.limits.wall_s)
    return convert_declarative(data, target)


def _run(program: str, path: Path, target: FileType, folder: Path, timeout_s: float) -> bytes:
    command = [program, "--headless", "--norestore", "--nologo", "--nodefault"]
    command += [f"-env:UserInstallation=file://{folder}/profile", "--convert-to", target.value]
    command += ["--outdir", str(folder), str(path)]
    try:
        subprocess.run(command, check=False, timeout=timeout_s, capture_output=True)
    except subprocess.TimeoutExpired as exc:
        raise PoisonError(
            "LibreOffice did not end in time on the document: save it in a current format.",
            code="parse_timeout",
        ) from exc
    made = next(folder.glob(f"*.{target.value}"), None)
    if made is None:
        raise PoisonError(
            "LibreOffice can not read the document: save it in a current format.",
            code="corrupt_file",
        )
    return made.read_bytes()
