"""The environments of the systems we are measured against: one per peer, outside the repository.

    python -m benchmarks.incremental.peers install [cocoindex] [llamaindex] [langchain]
    python -m benchmarks.incremental.peers list

They live in the folder RAG_PEERS names, `~/.cache/rag-peers` without it. torch and
sentence-transformers serve the comparison with a real model; all have the same.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Iterable
from pathlib import Path

_MODEL = ("torch==2.13.0", "sentence-transformers==6.2.0", "transformers==5.23.0")
# What was measured. The complete lists are in the results (JSON).
PINS: dict[str, tuple[tuple[str, ...], ...]] = {
    "cocoindex": (
        _MODEL,
        ("cocoindex[postgres]==1.0.26", "asyncpg==0.32.0", "numpy==2.4.6"),
    ),
    "llamaindex": (
        _MODEL,
        (
            "llama-index-core==0.14.25",
            "llama-index-vector-stores-postgres==0.9.0",
            "llama-index-embeddings-huggingface==0.8.0",
            "llama-index-storage-docstore-postgres==0.6.0",
            "psycopg2-binary==2.9.13",
            "asyncpg==0.32.0",
            "SQLAlchemy==2.0.58",
            "pgvector==0.5.1",
            "numpy==2.4.6",
        ),
        # the docstore pins a key-value store it can not work with
        ("llama-index-storage-kvstore-postgres==0.6.0",),
    ),
    "langchain": (
        _MODEL,
        (
            "langchain-postgres==0.0.19",
            "langchain-core==1.7.2",
            "langchain-classic==1.0.8",
            "langchain-huggingface==1.2.3",
            "psycopg[binary]==3.3.9",
            "SQLAlchemy==2.1.9",
            "pgvector==0.3.6",
            "numpy==2.4.6",
        ),
    ),
}


def peers_folder() -> Path:
    """Where the environments are."""
    return Path(os.environ.get("RAG_PEERS") or Path.home() / ".cache" / "rag-peers")


def environment_python(name: str) -> Path:
    """The interpreter of a peer's environment. Raises FileNotFoundError with the way to make it."""
    python = peers_folder() / name / "bin" / "python"
    if not python.exists():
        raise FileNotFoundError(
            f"{name} is not installed: run `python -m benchmarks.incremental.peers install {name}`."
        )
    return python


def install(name: str) -> None:
    """Make the peer's environment with the pinned versions; a repeat repairs it."""
    folder = peers_folder() / name
    if not (folder / "bin" / "python").exists():
        venv.create(folder, with_pip=True)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--disable-pip-version-check"]
    for requirements in PINS[name]:
        subprocess.run([*pip, "--quiet", *requirements], check=True, timeout=1800)


def installed(names: Iterable[str]) -> None:
    """Install those of the peers that are not there yet."""
    for name in names:
        if not (peers_folder() / name / "bin" / "python").exists():
            print(f"installing {name} in {peers_folder() / name} (minutes, once)", flush=True)
            install(name)


def versions(name: str) -> list[str]:
    """All packages of a peer's environment, as pip pins them."""
    listed = subprocess.run(
        [environment_python(name), "-m", "pip", "--disable-pip-version-check", "freeze"],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return listed.stdout.split()


def main() -> None:
    """Install or list environments."""
    match sys.argv[1:]:
        case ["install", *names]:
            for name in names or PINS:
                install(name)
                print(f"{name}: ready")
        case ["list"]:
            for name in PINS:
                print(name, *versions(name))
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
