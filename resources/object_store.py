"""Where documents come from: an S3-compatible store, or a folder.

Not dagster-aws' S3Resource: Dagster builds its boto3 session anew for every tick and every run
(0.35 CPU-seconds each, used or not), and its client has no time-outs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import dagster as dg
from pydantic import Field

if TYPE_CHECKING:
    from rag.model import SourceOptions
    from rag.ports import Source
    from rag.settings import Settings


class ObjectStoreResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Opens the sources of collections. Credentials come from the usual AWS variables."""

    endpoint_url: str | None = Field(
        default=None,
        description="S3-compatible endpoint. Unset: the setting `s3_endpoint_url`, then AWS.",
    )
    region_name: str | None = Field(
        default=None, description="Region. Unset: the setting `s3_region`."
    )

    def open_source(self, uri: str, **options: Unpack[SourceOptions]) -> Source:
        """The source behind `s3://bucket/prefix/`, a folder's path or another address, less the
        objects that are not chosen. Raises ConfigurationError when the address makes no sense;
        nothing is contacted yet."""
        from rag.settings import load_settings
        from rag.sources.open import open_source

        return open_source(uri, self._settings(load_settings()), **options)

    def _settings(self, settings: Settings) -> Settings:
        chosen = {"s3_endpoint_url": self.endpoint_url, "s3_region": self.region_name}
        return settings.model_copy(update={name: value for name, value in chosen.items() if value})
