"""The process that owns the embedded PostgreSQL; the kernel ends the server if it is killed.

Run as `python -m rag.stack.postgres_keeper FOLDER PIPE LOG durable|fast`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rag.stack.cluster import Cluster
from rag.stack.keeper import keep


def main(arguments: list[str]) -> int:
    """Keep the server until its last user is gone."""
    folder, pipe, log, mode = arguments
    return keep(
        lambda: Cluster(Path(folder), Path(log), durable=mode == "durable"),
        Path(folder),
        int(pipe),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
