"""Other readers of documents, each in a process of its own, for comparison only.

They are looked for in the interpreter that RAG_PEERS_PYTHON names (default: this one), so that
their dependencies need not be ours:

    python -m venv peers && peers/bin/pip install pypdf pypdfium2 pdfminer.six 'markitdown[all]'
    RAG_PEERS_PYTHON=peers/bin/python python -m benchmarks.parsing_fidelity
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_READERS = {
    "pypdf": "from pypdf import PdfReader\n"
    "def read(path):\n"
    "    return '\\n'.join(page.extract_text() for page in PdfReader(path).pages)\n",
    "pypdfium2": "import pypdfium2\n"
    "def read(path):\n"
    "    pages = pypdfium2.PdfDocument(path)\n"
    "    return '\\n'.join(page.get_textpage().get_text_range() for page in pages)\n",
    "pdfminer.six": "from pdfminer.high_level import extract_text\n"
    "def read(path):\n"
    "    return extract_text(path)\n",
    "markitdown": "from markitdown import MarkItDown\n"
    "converter = MarkItDown()\n"
    "def read(path):\n"
    "    return converter.convert(path).text_content\n",
}
_LOOP = """
import json, resource, sys, time
for line in sys.stdin:
    path = json.loads(line)
    started = time.perf_counter()
    try:
        text, error = read(path), None
    except Exception as exc:
        text, error = None, type(exc).__name__
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps([path, text, error, seconds, peak]), flush=True)
"""
PDF_ONLY = frozenset({"pypdf", "pypdfium2", "pdfminer.six"})
NAMES = tuple(_READERS)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a peer made of one file; `peak_bytes` is its process's high-water mark so far."""

    text: str | None
    error: str | None
    seconds: float
    peak_bytes: int


def read_all(name: str, paths: Sequence[Path], timeout_s: float = 900) -> dict[Path, Reading]:
    """The readings of one peer, by path; empty when it is not installed. A peer that dies or does
    not end loses what it had not read."""
    python = os.environ.get("RAG_PEERS_PYTHON", sys.executable)
    lines = "".join(json.dumps(str(path.resolve())) + "\n" for path in paths)
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": os.environ.get("HOME", "/")}
    try:
        done = subprocess.run(
            [python, "-W", "ignore", "-c", _READERS[name] + _LOOP],
            input=lines.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=timeout_s,
            check=False,
            env=environment,
        )
        output = done.stdout
    except subprocess.TimeoutExpired as exc:
        output = exc.stdout or b""
    by_name = {str(path.resolve()): path for path in paths}
    found = {}
    for line in output.decode("utf-8", "replace").splitlines():
        if line.startswith("["):
            path, text, error, seconds, peak = json.loads(line)
            found[by_name[path]] = Reading(text, error, seconds, peak)
    return found
