from __future__ import annotations

from rag_assets_tests.servers import *  # noqa: F403
