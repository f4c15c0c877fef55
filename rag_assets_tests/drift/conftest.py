"""The Dagster bench."""

from __future__ import annotations

from rag_assets_tests.assets.conftest import bench  # noqa: F401
