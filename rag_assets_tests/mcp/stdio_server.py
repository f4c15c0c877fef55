"""`rag mcp` in a process of its own, over a test's database, with a free embedder."""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    database_url, collection = sys.argv[1:]
    os.environ["RAG_DATABASE_URL"] = database_url
    import rag.cli.backend
    from rag.cli.main import run_rag
    from rag_assets_tests.fakes_embed import FakeEmbedder

    rag.cli.backend.load_embedder = lambda settings: FakeEmbedder()  # type: ignore[assignment]
    sys.exit(run_rag(["mcp", "--collection", collection]))
