"""The scripted object store of the sources' tests."""

from __future__ import annotations

from rag_assets_tests.sources.conftest import (
    _stub_client,
    _stub_server,
    stub,
    stub_client,
)

__all__ = ["_stub_client", "_stub_server", "stub", "stub_client"]
