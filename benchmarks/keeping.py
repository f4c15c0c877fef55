"""Where results are kept, and what machine they are from."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rag.embed.compiled import processor_facts

PACKAGES = (
    "rag-assets", "openvino", "torch", "sentence-transformers", "transformers", "tokenizers",
    "numpy", "psycopg", "pgvector", "dagster", "docling-slim",
)  # fmt: skip
_INSTRUCTIONS = ("avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "amx_int8")


def results_folder() -> Path:
    """The folder that RAG_BENCH_RESULTS names, else benchmarks/results."""
    named = os.environ.get("RAG_BENCH_RESULTS")
    folder = Path(named) if named else Path(__file__).parent / "results"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def keep(name: str, figures: object) -> None:
    """Write `<name>.json`."""
    text = json.dumps(figures, indent=1) + "\n"
    (results_folder() / f"{name}.json").write_text(text, encoding="utf-8")


def kept(name: str) -> Any:
    """What `<name>.json` holds, or None."""
    path = results_folder() / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def machine(packages: Iterable[str] = PACKAGES) -> dict[str, Any]:
    """Processor, cores, memory, load and versions."""
    info = processor_facts()
    names = [line.split(":")[1].strip() for line in info.splitlines() if "model name" in line]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "instructions": [flag for flag in _INSTRUCTIONS if flag in info],
        "load_average": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in packages},
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "-"
