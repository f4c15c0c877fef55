"""Dagster's storage: always Postgres, ours or yours, from one dagster.yaml.

Dagster's own configuration can not fall back from one server to another, and reads a
`postgresql://` URL as one for a driver that its storage does not work with.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from dagster._config import UserConfigSchema
from dagster._core.storage.base_storage import DagsterStorage
from dagster._serdes import ConfigurableClass, ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage

from rag.settings import Settings, load_settings
from rag.stack.postgres import dagster_url, ensure_postgres


class PlatformStorage(DagsterStorage, ConfigurableClass):
    """Names the storage in dagster.yaml; what Dagster gets is a DagsterPostgresStorage."""

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        return {}

    @classmethod
    def from_config_value(  # type: ignore[override]
        cls,
        inst_data: ConfigurableClassData | None,
        config_value: Mapping[str, Any],  # noqa: ARG003 Dagster's signature
    ) -> DagsterPostgresStorage:
        """Storage at `storage_url`; the embedded server is started when no other is configured."""
        return DagsterPostgresStorage(postgres_url=storage_url(), inst_data=inst_data)


def storage_url() -> str:
    """RAG_DAGSTER_DATABASE_URL, else database `dagster` beside RAG_DATABASE_URL, else our own."""
    settings = load_settings()
    if settings.dagster_database_url is not None:
        return dagster_url(settings.dagster_database_url.get_secret_value(), "")
    if settings.database_url is not None:
        return dagster_url(settings.database_url.get_secret_value())
    return dagster_url(_embedded_url(settings))


def _embedded_url(settings: Settings) -> str:
    home = settings.home.resolve()
    os.environ["RAG_HOME"] = str(home)  # our children may work in another folder
    return ensure_postgres(home)
