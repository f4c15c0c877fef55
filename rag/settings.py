"""Every setting of the platform: one frozen object, from the environment and a file.

Sources, strongest first: environment variables `RAG_<NAME>`, the TOML file named by `RAG_CONFIG`
(default `rag.toml` in the working folder, when it exists), the defaults below. docs/settings.md is
generated from this module (`rag doctor --reference`), and a test compares the two.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from rag.errors import ConfigurationError

MIB = 1024 * 1024


class Settings(BaseSettings):
    """What can be set, its default and its meaning."""

    model_config = SettingsConfigDict(env_prefix="RAG_", frozen=True, extra="forbid")

    home: Path = Field(
        Path(".rag"),
        description="Folder of the embedded servers' data, model cache, spool and logs.",
    )
    database_url: SecretStr | None = Field(
        None,
        description="PostgreSQL with pgvector 0.8 or newer, as postgresql://user:password@host/db. "
        "Unset: the platform starts its own PostgreSQL under `home`.",
    )
    dagster_database_url: SecretStr | None = Field(
        None,
        description="Dagster's own storage. Unset: database `dagster` on the same server.",
    )
    s3_endpoint_url: str | None = Field(
        None,
        description="S3-compatible endpoint; AWS credentials come from the usual AWS variables. "
        "Unset, and no AWS credentials in the environment: an embedded server under `home`.",
    )
    s3_region: str = Field("us-east-1", description="Region of the S3 endpoint.")
    dagster_port: int = Field(
        3000, ge=0, le=65535, description="Port of the Dagster UI on 127.0.0.1; 0 takes a free one."
    )
    sensor_interval_s: PositiveInt = Field(
        5, description="Seconds between two looks of the object-store sensor."
    )
    embedding_model: str = Field(
        "sentence-transformers/all-MiniLM-L6-v2",
        description="A sentence-transformers model: the bundled default, a folder, or a hub name.",
    )
    embedding_precision: Literal["bf16", "fp32", "int8"] = Field(
        "bf16",
        description="Arithmetic of the embedding engine. bf16 ranks as fp32 does (agreement 0.99), "
        "int8 is faster and looser (0.93).",
    )
    chunk_strategy: Literal["tokens", "recursive_chars", "heading_words", "docling_hybrid"] = Field(
        "tokens", description="How parsed text is cut into chunks."
    )
    chunk_size: PositiveInt = Field(
        256,
        description="Largest chunk, in the strategy's unit (tokens, characters or words). With "
        "tokens it includes the model's two special tokens and the prefix.",
    )
    chunk_overlap: int = Field(
        50, ge=0, description="Overlap of neighbouring chunks, in the strategy's unit."
    )
    chunk_prefix: Literal["none", "title", "headings"] = Field(
        "headings",
        description="What is put before a chunk's text when it is embedded: nothing, the "
        "document's title, or title and heading path.",
    )
    parse_workers: int = Field(
        0, ge=0, description="Parser processes at a time; 0 means one per processor core."
    )
    parse_wall_s: PositiveFloat = Field(
        120.0, description="Wall time a file may take to parse; 2 s per page are added."
    )
    parse_memory_bytes: PositiveInt = Field(
        2048 * MIB, description="Memory one parser process may use."
    )
    layout_models: Path | None = Field(
        None,
        description="Folder with docling's layout and table models. Unset: PDFs are read by "
        "docling's native text with our own assembly.",
    )
    ocr: Literal["auto", "off", "tesseract"] = Field(
        "auto",
        description="Reading pages and images without text: with Tesseract where it is installed "
        "(auto), never (off), or always (an error where it is missing).",
    )
    ocr_languages: str = Field(
        "eng", description="Tesseract's languages, joined by '+', such as eng+deu."
    )
    allow_macros: bool = Field(
        False, description="Whether office files with macros are taken in (their text only)."
    )
    max_file_bytes: PositiveInt = Field(100 * MIB, description="Largest file taken in.")
    max_pages: PositiveInt = Field(2000, description="Most pages of one document.")
    max_attempts: PositiveInt = Field(
        3, description="Tries of one document before it becomes a dead letter."
    )
    lease_s: PositiveFloat = Field(
        30.0, description="Seconds without a heartbeat after which a worker's claim lapses."
    )
    deletion_floor: int = Field(
        20, ge=0, description="Deletions per source that never trip the breaker."
    )
    deletion_share: float = Field(
        0.05, ge=0, le=1, description="Share of a source whose deletion trips the breaker."
    )
    deletion_confirm_s: PositiveFloat = Field(
        300.0,
        description="A later complete listing this many seconds after the breaker tripped "
        "confirms the deletions.",
    )
    retention_s: PositiveFloat = Field(
        7 * 86_400.0,
        description="Seconds for which parsed text, chunks, vectors and retired generations that "
        "nothing uses are kept, for roll-backs and re-creations; then `rag sweep`, or the daily "
        "schedule, removes them.",
    )
    sqs_queue_url: str | None = Field(
        None,
        description="Queue of S3 event notifications (SQS, directly, through SNS or EventBridge). "
        "Set: changes are seen at once, and `sensor_interval_s` may be long. Unset: the sensor "
        "only looks.",
    )
    failure_share_error: float = Field(
        0.2, ge=0, le=1, description="Share of failed documents above which a check is an ERROR."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic passes it by name
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then environment, then the TOML file."""
        file = Path(os.environ.get("RAG_CONFIG", "rag.toml"))
        return (init_settings, env_settings, TomlConfigSettingsSource(settings_cls, file))

    @property
    def uses_embedded_database(self) -> bool:
        return self.database_url is None

    @property
    def uses_embedded_s3(self) -> bool:
        return self.s3_endpoint_url is None and not os.environ.get("AWS_ACCESS_KEY_ID")


def load_settings() -> Settings:
    """The settings in force.

    Raises ConfigurationError naming the first wrong one, never its value."""
    named = os.environ.get("RAG_CONFIG")
    if named and not Path(named).is_file():
        raise ConfigurationError(
            f"RAG_CONFIG names '{named}', which is not a file: correct the path or unset it.",
            code="config_file_missing",
        )
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "settings"
        raise ConfigurationError(
            f"Setting {name} (RAG_{name.upper()}) is wrong: {first['msg']}.", code="bad_setting"
        ) from None
